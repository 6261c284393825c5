import type { Scorer } from '../contract.js';
import { isSubstringMatch } from './normalise.js';

/** Multi-document questions: a reference is part of the answer's first line, both normalised (nelson-liu/lost-in-the-middle). */
export const documentAnswer: Scorer = (prediction, { references }) => {
  const line = prediction.split('\n')[0]!;
  return Number(references.some((reference) => isSubstringMatch(line, reference)));
};

/** Key-value retrieval: the value is part of the answer, without regard to case. */
export const keyValueAnswer: Scorer = (prediction, { references }) =>
  Number(references.some((reference) => prediction.toLowerCase().includes(reference.toLowerCase())));
