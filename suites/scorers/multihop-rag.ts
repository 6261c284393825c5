import type { Scorer } from '../contract.js';
import { isExactMatch, splitWords } from './normalise.js';

/** Equal to a reference after normalisation; questions without an answer want `Insufficient information`. */
export const multiHopRag: Scorer = (prediction, { references }) =>
  Number(references.some((reference) => isExactMatch(prediction, reference)));

/** Upstream's hit: any lower-cased word in common, so that `the` is enough. */
export const multiHopRagUpstream: Scorer = (prediction, { references }) => {
  const said = new Set(splitWords(prediction.toLowerCase()));
  return Number(references.some((reference) => splitWords(reference.toLowerCase()).some((word) => said.has(word))));
};
