import { quantileOfSorted } from '../statistics.js';
import { normalCdf } from '../statistics-normal.js';
import { mostCounted, subsetSums } from './rank-test.js';

export interface RatioEstimate {
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Ratio ours ÷ theirs of times taken in pairs (the same round of an interleaved pass), as Hodges and Lehmann estimate a shift, on
 * logarithms: the median of all averages of two log ratios, with the interval that the signed-rank test does not reject. Fewer pairs than
 * `level` needs (6 at 0.95) give the whole range, which covers less.
 */
export const pairedRatio = (ours: ArrayLike<number>, theirs: ArrayLike<number>, level = 0.95): RatioEstimate => {
  const logs = Float64Array.from(ours, (value, i) => Math.log(value / theirs[i]!));
  const averages = new Float64Array((logs.length * (logs.length + 1)) / 2);
  for (let i = 0, at = 0; i < logs.length; i++)
    for (let j = i; j < logs.length; j++) averages[at++] = (logs[i]! + logs[j]!) / 2;
  averages.sort();
  const rank = Math.max(0, signedRankQuantile(logs.length, (1 - level) / 2) - 1);
  return {
    ratio: Math.exp(quantileOfSorted(averages, 0.5)),
    low: Math.exp(averages[rank] ?? Number.NaN),
    high: Math.exp(averages[averages.length - 1 - rank] ?? Number.NaN),
  };
};

/** The place from each end at which the interval ends, from 1: the largest k with P(signed-rank sum < k) <= tail. */
const signedRankQuantile = (n: number, tail: number): number => {
  const most = (n * (n + 1)) / 2;
  const share = new Float64Array(most + 1);
  share[0] = 1;
  for (let rank = 1; rank <= n; rank++)
    for (let at = most; at >= 0; at--) share[at] = 0.5 * share[at]! + (at >= rank ? 0.5 * share[at - rank]! : 0);
  let below = 0;
  let k = 0;
  while (k < most / 2 && below + share[k]! <= tail) below += share[k++]!;
  return k;
};

/**
 * Ratio ours ÷ theirs of two independent samples of times: Hodges and Lehmann's shift on logarithms, the median of all log ratios, with the
 * interval that the Mann-Whitney test does not reject. Too few values for `level` (4 and 4 at 0.95) give the whole range.
 */
export const independentRatio = (ours: ArrayLike<number>, theirs: ArrayLike<number>, level = 0.95): RatioEstimate => {
  const [n, m] = [ours.length, theirs.length];
  const logs = new Float64Array(n * m);
  for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) logs[i * m + j] = Math.log(ours[i]! / theirs[j]!);
  logs.sort();
  const rank = Math.max(0, rankQuantile(n, m, (1 - level) / 2) - 1);
  return {
    ratio: Math.exp(quantileOfSorted(logs, 0.5)),
    low: Math.exp(logs[rank] ?? Number.NaN),
    high: Math.exp(logs[n * m - 1 - rank] ?? Number.NaN),
  };
};

/** The place from each end at which the interval ends, from 1: the largest k with P(U < k) <= tail, without ties. */
const rankQuantile = (n: number, m: number, tail: number): number => {
  if (n + m > mostCounted) {
    const deviation = Math.sqrt((n * m * (n + m + 1)) / 12);
    let k = 0;
    while (2 * (k + 1) < n * m && normalCdf((k + 0.5 - (n * m) / 2) / deviation) <= tail) k++;
    return k;
  }
  const shares = subsetSums(
    Int32Array.from({ length: n + m }, (_, i) => i + 1),
    n,
  ).subarray((n * (n + 1)) / 2);
  let below = 0;
  let k = 0;
  while (2 * (k + 1) < n * m && below + shares[k]! <= tail) below += shares[k++]!;
  return k;
};
