import type { Scorer } from '../contract.js';
import { strip } from './normalise.js';

// Code units below the space.
const CONTROL = /[^ -\uffff]/g;

/** Upstream's cleaning of a prediction: stripped, control characters as line ends, stripped again. */
const clean = (prediction: string): string => strip(strip(prediction).replace(CONTROL, '\n')).toLowerCase();

/** RULER: the share of references that are in the prediction, without regard to case. */
export const stringMatchAll: Scorer = (prediction, { references }) => {
  const text = clean(prediction);
  return references.filter((reference) => text.includes(reference.toLowerCase())).length / references.length;
};

/** RULER: 1 when any reference is in the prediction, without regard to case. */
export const stringMatchPart: Scorer = (prediction, { references }) => {
  const text = clean(prediction);
  return references.some((reference) => text.includes(reference.toLowerCase())) ? 1 : 0;
};
