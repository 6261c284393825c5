import { WinnowError } from '../../core/errors.js';
import { createRandom } from '../../core/random.js';
import type { Sampling } from '../contract.js';

/**
 * Draws one token from logits [vocabSize]. The draw depends on the logits, on (seed, sampleSeed, step) and on nothing else: a row's
 * text is the same alone and in any batch, and settings of one sample meet the same random numbers.
 *
 * Order as in transformers: temperature, the topK largest, the smallest set of largest ones that holds topP of the mass, then those of
 * at least minP times the largest. Ties go to the lower id. Cost: O(vocabSize), and a sort of what is above the cut for topK and topP.
 */
export const drawToken = (logits: Float32Array, sampling: Sampling, sampleSeed: number, step: number): number => {
  const { temperature, seed } = sampling;
  if (temperature === 0) return largestIndex(logits);
  const kept = keptTokens(logits, sampling);
  const at = createRandom(seed, 'sampling', sampleSeed, step).float() * kept.total;
  let sum = 0;
  for (let i = 0; i < kept.ids.length; i++) {
    sum += kept.weights[i]!;
    if (at < sum) return kept.ids[i]!;
  }
  // Only rounding of the sum leads here.
  return kept.ids.at(-1)!;
};

/** Tokens that may be drawn, by ascending id, with weights relative to the most likely one, and their sum. */
export const keptTokens = (
  logits: Float32Array,
  { temperature, topK, topP, minP }: Sampling,
): { readonly ids: Int32Array; readonly weights: Float64Array; readonly total: number } => {
  const peak = logits[largestIndex(logits)]!;
  let ids: Int32Array = Int32Array.from(logits.keys());
  const weightOf = (id: number): number => Math.exp((logits[id]! - peak) / temperature);
  if (topK !== undefined && topK < ids.length) ids = byRank(ids, logits).slice(0, topK).sort();
  if (topP !== undefined && topP < 1) ids = nucleus(byRank(ids, logits), weightOf, topP).sort();
  // The largest weight is 1, so minP of it is minP.
  if (minP !== undefined && minP > 0) ids = ids.filter((id) => weightOf(id) >= minP);
  const weights = Float64Array.from(ids, weightOf);
  return { ids, weights, total: weights.reduce((sum, weight) => sum + weight, 0) };
};

const largestIndex = (logits: Float32Array): number => {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
};

const byRank = (ids: Int32Array, logits: Float32Array): Int32Array =>
  ids.slice().sort((a, b) => logits[b]! - logits[a]! || a - b);

/** The token that crosses the mass belongs to it, so it is never empty. */
const nucleus = (ranked: Int32Array, weightOf: (id: number) => number, topP: number): Int32Array => {
  const weights = Float64Array.from(ranked, weightOf);
  const wanted = topP * weights.reduce((sum, weight) => sum + weight, 0);
  let mass = 0;
  let count = 0;
  while (count < ranked.length && mass < wanted) mass += weights[count++]!;
  return ranked.slice(0, Math.max(1, count));
};

/** Throws ERR_USAGE for numbers that mean nothing. */
export const checkSampling = ({ temperature, topK, topP, minP, seed }: Sampling): void => {
  const check = (name: string, isGood: boolean, expected: string, actual: number): void => {
    if (!isGood) throw new WinnowError('ERR_USAGE', `sampling.${name}`, expected, actual);
  };
  check('temperature', Number.isFinite(temperature) && temperature >= 0, 'a number of 0 (greedy) or more', temperature);
  if (topK !== undefined) check('topK', Number.isInteger(topK) && topK >= 1, 'a whole number of tokens above 0', topK);
  if (topP !== undefined) check('topP', topP > 0 && topP <= 1, 'a share of the mass in (0, 1]', topP);
  if (minP !== undefined) check('minP', minP >= 0 && minP <= 1, 'a share of the largest probability in [0, 1]', minP);
  check('seed', Number.isSafeInteger(seed), 'a whole number', seed);
};
