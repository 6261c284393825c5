import { commonLengths } from './common-subsequence.js';
import { splitWords } from './normalise.js';

/**
 * ROUGE-L as the PyPI package `rouge` 1.0.1 computes it and LongBench reports it: over sets of distinct words, case and punctuation kept,
 * sentences cut at every full stop. For each sentence of the reference, the words of its longest common subsequence with every sentence
 * of the prediction enter one set; recall and precision divide its size by the distinct words of either side.
 *
 * Returns F1 (with 1e-8 in the divisor, as there), 0 when a side has no sentence. Upstream's limit on recursion, which scores 0 where two
 * unpunctuated sentences together run to about a thousand words, is not kept.
 */
export const rougeUnionF1 = (prediction: string, reference: string): number => {
  const predicted = sentences(prediction);
  const referred = sentences(reference);
  if (predicted.length === 0 || referred.length === 0) return 0;
  const union = new Set<string>();
  for (const sentence of referred) for (const other of predicted) addCommonWords(sentence, other, union);
  const recall = union.size / new Set(referred.flat()).size;
  const precision = union.size / new Set(predicted.flat()).size;
  return (2 * precision * recall) / (precision + recall + 1e-8);
};

/** A sentence of white space alone is one empty word, as upstream's split makes it. */
const sentences = (text: string): string[][] =>
  text
    .split('.')
    .filter((sentence) => sentence !== '')
    .map((sentence) => splitWords(sentence).join(' ').split(' '));

/** On ties the walk back drops a word of `b`: that rule decides which words are common. */
const addCommonWords = (a: readonly string[], b: readonly string[], into: Set<string>): void => {
  const width = b.length + 1;
  const lengths = commonLengths(a, b);
  for (let i = a.length, j = b.length; i > 0 && j > 0; ) {
    if (a[i - 1] === b[j - 1]) {
      into.add(a[i - 1]!);
      i--;
      j--;
    } else if (lengths[(i - 1) * width + j]! > lengths[i * width + j - 1]!) i--;
    else j--;
  }
};
