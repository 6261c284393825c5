/** Statistics of small samples. Values are copied before they are sorted; nothing here keeps state. */
import { normalQuantile } from './statistics-normal.js';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Sum with Neumaier's compensation, so that 0.1 + 0.2 + … carries no noise into a table. */
export const sum = (values: ArrayLike<number>): number => {
  let total = 0;
  let lost = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const next = total + value;
    lost += Math.abs(total) >= Math.abs(value) ? total - next + value : value - next + total;
    total = next;
  }
  return total + lost;
};

/** NaN for no values: the caller decides what an empty mean means. */
export const mean = (values: ArrayLike<number>): number => sum(values) / values.length;

/** Linear interpolation between order statistics (R's type 7, numpy's default). `sorted` ascends. */
export const quantileOfSorted = (sorted: ArrayLike<number>, share: number): number => {
  const at = Math.min(Math.max(share, 0), 1) * (sorted.length - 1);
  const below = Math.floor(at);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low === high ? low : low + (at - below) * (high - low);
};

export const quantile = (values: ArrayLike<number>, share: number): number =>
  quantileOfSorted(Float64Array.from(values).sort(), share);

export const median = (values: ArrayLike<number>): number => quantile(values, 0.5);

/**
 * Interval of a median from order statistics: the narrowest pair of symmetric ranks that covers it with `level` or more, whatever the
 * distribution. Fewer values than that needs (6 at 0.95) give their range, which covers less.
 */
export const medianInterval = (values: ArrayLike<number>, level = 0.95): Interval => {
  const sorted = Float64Array.from(values).sort();
  const n = sorted.length;
  // P(the median lies below the r-th smallest value) = P(Binomial(n, 1/2) < r).
  let rank = 0;
  let below = 0.5 ** n;
  let term = below;
  while (2 * below <= 1 - level && 2 * (rank + 1) < n) {
    rank++;
    term *= (n - rank + 1) / rank;
    below += term;
  }
  const from = Math.max(0, rank - 1);
  return { low: sorted[from] ?? Number.NaN, high: sorted[n - 1 - from] ?? Number.NaN };
};

/** For ratios. NaN for no values, 0 if any value is 0. */
export const geometricMean = (values: ArrayLike<number>): number => Math.exp(mean(Float64Array.from(values, Math.log)));

/** Wilson's score interval for a proportion of `n` trials. */
export const wilsonInterval = (proportion: number, n: number, level = 0.95): Interval => {
  const z = normalQuantile(0.5 + level / 2);
  const scale = 1 / (1 + (z * z) / n);
  const centre = scale * (proportion + (z * z) / (2 * n));
  const half = scale * z * Math.sqrt((proportion * (1 - proportion)) / n + (z * z) / (4 * n * n));
  return {
    low: proportion === 0 ? 0 : Math.max(0, centre - half),
    high: proportion === 1 ? 1 : Math.min(1, centre + half),
  };
};

/**
 * Interval of a mean when all `n` observed values are equal, where every resample is the same and a bootstrap would claim certainty.
 *
 * 0 of n samples differ from `value`, so by Wilson at most a share w = z² / (n + z²) of all samples does, and those may lie anywhere in
 * [minimum, maximum]. For scores of all 0 or all 1 this is Wilson's interval itself; for differences that are all 0 it is ± w.
 */
export const constantInterval = (value: number, n: number, range: Interval, level = 0.95): Interval => {
  const unseen = wilsonInterval(0, n, level).high;
  return { low: value - unseen * (value - range.low), high: value + unseen * (range.high - value) };
};

/** Cuts the noise of floating-point sums: 12 significant digits. */
export const withoutNoise = (value: number): number => Number(value.toPrecision(12));
