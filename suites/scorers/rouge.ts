import type { Scorer } from '../contract.js';
import { commonLengths } from './common-subsequence.js';
import { porterStem } from './porter-stemmer.js';

/**
 * ROUGE as Google's `rouge_score` 0.1.2 computes it: lower-cased runs of ASCII letters and digits, F1 with equal weights, best over the
 * references. `rougeLsum` takes a line for a sentence and lets every word of a side count once. Stemmed: words of more than three letters
 * are replaced by their stems.
 */
type Words = (text: string) => string[];

const words: Words = (text) => text.toLowerCase().match(/[a-z0-9]+/g) ?? [];

const stems: Words = (text) => words(text).map((word) => (word.length > 3 ? porterStem(word) : word));

const f1 = (hits: number, predicted: number, referred: number): number =>
  hits === 0 ? 0 : (2 * (hits / predicted) * (hits / referred)) / (hits / predicted + hits / referred);

const countsOf = (items: readonly string[]): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
};

const ngrams = (items: readonly string[], n: number): string[] =>
  items.slice(0, Math.max(0, items.length - n + 1)).map((_, i) => items.slice(i, i + n).join(' '));

const rougeN = (prediction: string, reference: string, cut: Words, n: number): number => {
  const predicted = ngrams(cut(prediction), n);
  const referred = ngrams(cut(reference), n);
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

const rougeL = (prediction: string, reference: string, cut: Words): number => {
  const predicted = cut(prediction);
  const referred = cut(reference);
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

const linesOf = (text: string, cut: Words): string[][] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map(cut);

const rougeLsumOf = (prediction: string, reference: string, cut: Words): number => {
  const predicted = linesOf(prediction, cut);
  const referred = linesOf(reference, cut);
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
  (metric: (prediction: string, reference: string, cut: Words) => number, cut: Words): Scorer =>
  (prediction, { references }) =>
    Math.max(0, ...references.map((reference) => metric(prediction, reference, cut)));

export const rougeLsum: Scorer = best(rougeLsumOf, words);

const family = (cut: Words, suffix: string): Record<string, Scorer> => ({
  [`1${suffix}`]: best((prediction, reference) => rougeN(prediction, reference, cut, 1), cut),
  [`2${suffix}`]: best((prediction, reference) => rougeN(prediction, reference, cut, 2), cut),
  [`l${suffix}`]: best(rougeL, cut),
  [`lsum${suffix}`]: best(rougeLsumOf, cut),
});

export const rougeScorers: Readonly<Record<string, Scorer>> = { ...family(words, ''), ...family(stems, '-stemmed') };

export const stemmedRougeL: Scorer = best(rougeL, stems);
export const stemmedRougeLsum: Scorer = best(rougeLsumOf, stems);
