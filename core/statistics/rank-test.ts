import { normalCdf } from '../statistics-normal.js';
import { midRanks } from './paired-tests.js';

export interface RankTest {
  /** Pairs (ours, theirs) in which ours is larger, ties half. */
  readonly u: number;
  /** Two-sided. */
  readonly p: number;
  readonly method: 'exact' | 'normal';
}

/**
 * Mann-Whitney U test of two independent samples of times.
 *
 * Up to 40 values together the conditional distribution of the rank sum is counted out, ties and all (p is twice the smaller tail); above
 * that the normal approximation with ties and continuity corrected.
 */
export const mannWhitney = (ours: ArrayLike<number>, theirs: ArrayLike<number>): RankTest => {
  const [n, m] = [ours.length, theirs.length];
  const ranks = midRanks([...Array.from(ours), ...Array.from(theirs)]);
  const rankSum = ranks.subarray(0, n).reduce((sum, rank) => sum + rank, 0);
  const u = rankSum - (n * (n + 1)) / 2;
  if (n === 0 || m === 0) return { u, p: 1, method: 'exact' };
  if (n + m <= mostCounted) {
    const doubled = Int32Array.from(ranks, (rank) => 2 * rank);
    const shares = subsetSums(doubled, n);
    const observed = Math.round(2 * rankSum);
    let below = 0;
    let above = 0;
    for (let sum = 0; sum < shares.length; sum++) {
      if (sum <= observed) below += shares[sum]!;
      if (sum >= observed) above += shares[sum]!;
    }
    return { u, p: Math.min(1, 2 * Math.min(below, above)), method: 'exact' };
  }
  const total = n + m;
  const variance = ((n * m) / 12) * (total + 1 - tieTerm(ranks) / (total * (total - 1)));
  if (variance <= 0) return { u, p: 1, method: 'normal' };
  const distance = Math.max(0, Math.abs(u - (n * m) / 2) - 0.5);
  return { u, p: Math.min(1, 2 * normalCdf(-distance / Math.sqrt(variance))), method: 'normal' };
};
export const mostCounted = 40;

/** Sum of t³ − t over groups of t equal values. */
const tieTerm = (ranks: Float64Array): number => {
  const counts = new Map<number, number>();
  for (const rank of ranks) counts.set(rank, (counts.get(rank) ?? 0) + 1);
  return [...counts.values()].reduce((sum, t) => sum + t ** 3 - t, 0);
};

/** Share of the subsets of `size` of the values that have each sum. */
export const subsetSums = (values: Int32Array, size: number): Float64Array => {
  const span = values.reduce((sum, value) => sum + value, 0);
  // counts[k * (span + 1) + s]: subsets of k of the values seen so far with sum s, as shares of the draws without replacement.
  const width = span + 1;
  const counts = new Float64Array((size + 1) * width);
  counts[0] = 1;
  let reached = 0;
  for (const [seen, value] of values.entries()) {
    reached += value;
    for (let k = Math.min(size, seen + 1); k >= 1; k--)
      for (let sum = reached; sum >= value; sum--) counts[k * width + sum]! += counts[(k - 1) * width + sum - value]!;
  }
  const row = counts.subarray(size * width);
  const all = row.reduce((sum, count) => sum + count, 0);
  return row.map((count) => count / all);
};
