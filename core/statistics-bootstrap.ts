import { quantilesInPlace } from './order-statistics.js';
import { constantInterval, type Interval, mean, withoutNoise } from './statistics.js';
import { normalCdf, normalQuantile } from './statistics-normal.js';

export interface BootstrapOptions {
  readonly seed: number;
  readonly draws: number;
  /** Share of the interval, 0.95 unless said otherwise. */
  readonly level?: number;
}

export interface Estimate extends Interval {
  readonly mean: number;
}

export interface Bootstrap {
  /** Mean of values in `range` with a BCa interval; constant samples get `constantInterval`. */
  meanOf(values: ArrayLike<number>, range: Interval): Estimate;
  /** The same with the plain percentile interval. */
  percentileMeanOf(values: ArrayLike<number>, range: Interval): Estimate;
  /**
   * Mean over groups of the group means (each group counts once), resampled inside every group, with a percentile interval.
   * Constant groups are widened by the share of `constantInterval` that their weight earns.
   */
  meanOfGroups(groups: readonly ArrayLike<number>[], range: Interval): Estimate;
}

/**
 * Seeded bootstrap of means. Draw b of a sample of n values always picks the same indices, whatever the values are, so two cells with
 * the same samples are resampled together. Results depend on (values, seed, draws, level) only.
 *
 * Cost: draws × n additions per estimate; index tables of a few n are kept (2 bytes an index).
 */
export const createBootstrap = ({ seed, draws, level = 0.95 }: BootstrapOptions): Bootstrap => {
  const tables = new Map<number, Uint16Array>();

  const indicesFor = (n: number): Uint16Array => {
    const known = tables.get(n);
    if (known !== undefined) return known;
    const indices = new Uint16Array(n * draws);
    for (let i = 0; i < indices.length; i++) indices[i] = pick(seed, i, n);
    if (tables.size >= mostTables) tables.clear();
    tables.set(n, indices);
    return indices;
  };

  /** Draw b of group g is draw b + g * `stride` of the table: other draws than those of its neighbours, so groups are independent. */
  const resampledMeans = (values: Float64Array, group: number): Float64Array => {
    const n = values.length;
    const means = new Float64Array(draws);
    const tabled = n <= largestTable ? indicesFor(n) : undefined;
    for (let b = 0; b < draws; b++) {
      let i = ((b + group * stride) % draws) * n;
      let total = 0;
      if (tabled) for (const end = i + n; i < end; i++) total += values[tabled[i]!]!;
      else for (const end = i + n; i < end; i++) total += values[pick(seed, i, n)]!;
      means[b] = total / n;
    }
    return means;
  };

  const tails: Interval = { low: (1 - level) / 2, high: (1 + level) / 2 };
  const estimate = (
    values: ArrayLike<number>,
    range: Interval,
    shares: (means: Float64Array, values: Float64Array) => Interval,
  ): Estimate => {
    const sample = Float64Array.from(values);
    const centre = withoutNoise(mean(sample));
    if (sample.length === 0) return { mean: Number.NaN, low: Number.NaN, high: Number.NaN };
    if (sample.every((value) => value === sample[0]))
      return rounded(centre, constantInterval(centre, sample.length, range, level));
    const means = resampledMeans(sample, 0);
    return rounded(centre, quantilesInPlace(means, shares(means, sample)));
  };

  return {
    meanOf: (values, range) => estimate(values, range, (means, sample) => correctedShares(means, sample, tails)),
    percentileMeanOf: (values, range) => estimate(values, range, () => tails),
    meanOfGroups(groups, range) {
      const means = new Float64Array(draws);
      let centre = 0;
      let widenLow = 0;
      let widenHigh = 0;
      for (const [g, group] of groups.entries()) {
        const sample = Float64Array.from(group);
        const average = mean(sample);
        centre += average / groups.length;
        if (sample.every((value) => value === sample[0])) {
          const { low, high } = constantInterval(average, sample.length, range, level);
          widenLow += ((average - low) / groups.length) ** 2;
          widenHigh += ((high - average) / groups.length) ** 2;
          for (let b = 0; b < draws; b++) means[b]! += average / groups.length;
          continue;
        }
        const drawn = resampledMeans(sample, g);
        for (let b = 0; b < draws; b++) means[b]! += drawn[b]! / groups.length;
      }
      const { low, high } = quantilesInPlace(means, tails);
      // Independent errors add in squares.
      const below = Math.hypot(centre - low, Math.sqrt(widenLow));
      const above = Math.hypot(high - centre, Math.sqrt(widenHigh));
      return rounded(withoutNoise(centre), {
        low: Math.max(range.low, centre - below),
        high: Math.min(range.high, centre + above),
      });
    },
  };
};

/** Efron's bias-corrected and accelerated shares: ties with the estimate count half, acceleration from the jackknife. */
const correctedShares = (means: Float64Array, values: Float64Array, tails: Interval): Interval => {
  const centre = mean(values);
  // Sums in another order differ in the last bits; such a mean is a tie, not a smaller one.
  const tie = 1e-12 * Math.max(1, Math.abs(centre));
  let below = 0;
  for (const drawn of means) below += drawn < centre - tie ? 1 : drawn <= centre + tie ? 0.5 : 0;
  const bias = normalQuantile(below / means.length);
  let squares = 0;
  let cubes = 0;
  for (const value of values) {
    const influence = value - centre;
    squares += influence ** 2;
    cubes += influence ** 3;
  }
  const acceleration = squares === 0 ? 0 : cubes / (6 * squares ** 1.5);
  const share = (tail: number): number => {
    const z = bias + normalQuantile(tail);
    return normalCdf(bias + z / (1 - acceleration * z));
  };
  return { low: share(tails.low), high: share(tails.high) };
};

const rounded = (centre: number, { low, high }: Interval): Estimate => ({
  mean: centre,
  low: withoutNoise(Math.min(low, centre)),
  high: withoutNoise(Math.max(high, centre)),
});

/** Index of draw `counter`: a 64-bit mix of (seed, counter) in two 32-bit words, scaled to [0, n). */
const pick = (seed: number, counter: number, n: number): number => {
  let h = Math.imul(counter ^ 0x85ebca6b, 0xcc9e2d51) ^ seed;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15) ^ Math.imul(seed, 0x9e3779b1), 0x846ca68b);
  h ^= h >>> 16;
  return Math.floor(((h >>> 0) / 0x1_0000_0000) * n);
};

/** Above this an index table would pass 100 MB at 10 000 draws; indices are then computed again for each estimate. */
const largestTable = 5_000;
const mostTables = 4;
/** Odd and no divisor of round numbers of draws: groups meet the same draw again only after all others. */
const stride = 1_009;
