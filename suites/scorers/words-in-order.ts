import type { Scorer } from '../contract.js';

/** The reference's words that the prediction begins with, up to the first slip, as a share of all; case and marks do not count. */
export const wordsInOrder: Scorer = (prediction, { references: [reference = ''] }) => {
  const wanted = wordsOf(reference);
  const written = wordsOf(prediction);
  const slip = wanted.findIndex((word, i) => written[i] !== word);
  return slip < 0 ? Number(wanted.length > 0) : slip / wanted.length;
};

const wordsOf = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}]+(?:-[\p{L}\p{N}]+)*/gu) ?? [];
