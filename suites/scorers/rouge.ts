import type { Scorer } from '../contract.js';
import { commonLengths } from './common-subsequence.js';

/**
 * ROUGE as Google's `rouge_score` 0.1.2 computes it without a stemmer: lower-cased runs of ASCII letters and digits, F1 with equal weights,
 * best over the references. `rougeLsum` takes a line for a sentence and lets every word of a side count once.
 */
const words = (text: string): string[] => text.toLowerCase().match(/[a-z0-9]+/g) ?? [];

const f1 = (hits: number, predicted: number, referred: number): number =>
  hits === 0 ? 0 : (2 * (hits / predicted) * (hits / referred)) / (hits / predicted + hits / referred);

const countsOf = (items: readonly string[]): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
};

const ngrams = (items: readonly string[], n: number): string[] =>
  items.slice(0, Math.max(0, items.length - n + 1)).map((_, i) => items.slice(i, i + n).join(' '));

const rougeN = (prediction: string, reference: string, n: number): number => {
  const predicted = ngrams(words(prediction), n);
  const referred = ngrams(words(reference), n);
  const left = countsOf(referred);
  let hits = 0;
  for (const gram of predicted) {
    const count = left.get(gram) ?? 0;
    if (count === 0) continue;
    left.set(gram, count - 1);
    hits++;
  }
  return f1(hits, predicted.length, referred.length);
};

const rougeL = (prediction: string, reference: string): number => {
  const predicted = words(prediction);
  const referred = words(reference);
  return f1(commonLengths(referred, predicted).at(-1)!, predicted.length, referred.length);
};

/** Positions in `a` of one longest common subsequence; on ties the walk back drops a word of `a`. */
const commonPositions = (a: readonly string[], b: readonly string[]): number[] => {
  const lengths = commonLengths(a, b);
  const width = b.length + 1;
  const positions: number[] = [];
  for (let i = a.length, j = b.length; i > 0 && j > 0; ) {
    if (a[i - 1] === b[j - 1]) {
      positions.push(i - 1);
      i--;
      j--;
    } else if (lengths[i * width + j - 1]! > lengths[(i - 1) * width + j]!) j--;
    else i--;
  }
  return positions;
};

const linesOf = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map(words);

const rougeLsumOf = (prediction: string, reference: string): number => {
  const predicted = linesOf(prediction);
  const referred = linesOf(reference);
  const leftOfPrediction = countsOf(predicted.flat());
  const leftOfReference = countsOf(referred.flat());
  let hits = 0;
  for (const line of referred) {
    const union = new Set(predicted.flatMap((other) => commonPositions(line, other)));
    for (const at of [...union].sort((a, b) => a - b)) {
      const word = line[at]!;
      const [p, r] = [leftOfPrediction.get(word) ?? 0, leftOfReference.get(word) ?? 0];
      if (p === 0 || r === 0) continue;
      leftOfPrediction.set(word, p - 1);
      leftOfReference.set(word, r - 1);
      hits++;
    }
  }
  return f1(hits, predicted.flat().length, referred.flat().length);
};

const best =
  (metric: (prediction: string, reference: string) => number): Scorer =>
  (prediction, { references }) =>
    Math.max(0, ...references.map((reference) => metric(prediction, reference)));

export const rougeLsum: Scorer = best(rougeLsumOf);

export const rougeScorers: Readonly<Record<string, Scorer>> = {
  '1': best((prediction, reference) => rougeN(prediction, reference, 1)),
  '2': best((prediction, reference) => rougeN(prediction, reference, 2)),
  l: best(rougeL),
  lsum: rougeLsum,
};
