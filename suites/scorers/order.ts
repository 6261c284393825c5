import type { Scorer } from '../contract.js';
import { normaliseAnswer } from './normalise.js';

/** Where each reference first stands in the normalised prediction; -1 where it does not. */
const placesOf = (prediction: string, references: readonly string[]): number[] => {
  const text = normaliseAnswer(prediction);
  return references.map((reference) => text.indexOf(normaliseAnswer(reference)));
};

/**
 * Share of the pairs of references that the prediction names in the right order: (1 + Kendall's tau) / 2 when all are named; a pair of which
 * one is missing is wrong. Of one reference: whether it is named.
 */
export const orderKendall: Scorer = (prediction, { references }) => {
  const places = placesOf(prediction, references);
  if (places.length === 1) return places[0]! >= 0 ? 1 : 0;
  let right = 0;
  let pairs = 0;
  for (let i = 0; i < places.length; i++) {
    for (let j = i + 1; j < places.length; j++) {
      pairs += 1;
      if (places[i]! >= 0 && places[i]! < places[j]!) right += 1;
    }
  }
  return right / pairs;
};

/** 1 when all references are named, in their order. */
export const orderExact: Scorer = (prediction, sample) => (orderKendall(prediction, sample) === 1 ? 1 : 0);
