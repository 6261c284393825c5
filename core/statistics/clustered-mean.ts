import { quantilesInPlace } from '../order-statistics.js';
import { createRandom } from '../random.js';
import { constantInterval, type Interval, mean, withoutNoise } from '../statistics.js';
import type { BootstrapOptions, Estimate } from '../statistics-bootstrap.js';

/** Values of one cell, each with the name of the cluster (the sample, the document) that it came from. */
export interface ClusteredGroup {
  readonly values: ArrayLike<number>;
  readonly clusters: readonly string[];
}

/**
 * Mean over groups of their means (each group counts once) with a percentile interval that resamples clusters: values of one cluster, in one
 * group or several, are drawn together, because they rise and fall together. Groups that share no cluster are resampled independently.
 *
 * Where all clusters of a part agree, the part is widened by the share of `constantInterval` that its weight earns.
 */
export const clusteredMean = (
  groups: readonly ClusteredGroup[],
  range: Interval,
  { seed, draws, level = 0.95 }: BootstrapOptions,
): Estimate => {
  const centre = withoutNoise(mean(groups.map(({ values }) => mean(values))));
  if (groups.length === 0 || Number.isNaN(centre)) return { mean: Number.NaN, low: Number.NaN, high: Number.NaN };
  const means = new Float64Array(draws);
  let widenLow = 0;
  let widenHigh = 0;
  for (const [part, members] of partsOf(groups).entries()) {
    const weight = members.length / groups.length;
    const table = tableOf(members);
    const totals = table.evenTotals;
    if (totals?.every((value) => Math.abs(value - totals[0]!) <= 1e-12)) {
      const { low, high } = constantInterval(totals[0]!, totals.length, range, level);
      widenLow += (weight * (totals[0]! - low)) ** 2;
      widenHigh += (weight * (high - totals[0]!)) ** 2;
      for (let b = 0; b < draws; b++) means[b]! += weight * totals[0]!;
    } else addDraws(means, table, weight, createRandom(seed, 'clusters', part, table.clusters).uint32);
  }
  const { low, high } = quantilesInPlace(means, { low: (1 - level) / 2, high: (1 + level) / 2 });
  const below = Math.hypot(centre - low, Math.sqrt(widenLow));
  const above = Math.hypot(high - centre, Math.sqrt(widenHigh));
  return {
    mean: centre,
    low: withoutNoise(Math.max(range.low, Math.min(centre, centre - below))),
    high: withoutNoise(Math.min(range.high, Math.max(centre, centre + above))),
  };
};

/** What each cluster adds to the mean over groups; for tests that flip whole clusters. Their sum is that mean. */
export const clusterShares = (groups: readonly ClusteredGroup[]): number[] => {
  const shares = new Map<string, number>();
  for (const { values, clusters } of groups)
    for (const [i, cluster] of clusters.entries())
      shares.set(cluster, (shares.get(cluster) ?? 0) + values[i]! / (values.length * groups.length));
  return [...shares.values()];
};

/** Groups joined by the clusters they share. */
const partsOf = (groups: readonly ClusteredGroup[]): ClusteredGroup[][] => {
  const parent = groups.map((_, g) => g);
  const rootOf = (g: number): number => {
    let root = g;
    while (parent[root] !== root) root = parent[root]!;
    parent[g] = root;
    return root;
  };
  const firstWith = new Map<string, number>();
  for (const [g, { clusters }] of groups.entries())
    for (const cluster of clusters) {
      const first = firstWith.get(cluster);
      if (first === undefined) firstWith.set(cluster, g);
      else parent[rootOf(g)] = rootOf(first);
    }
  const parts = new Map<number, ClusteredGroup[]>();
  for (const [g, group] of groups.entries()) {
    const root = rootOf(g);
    parts.set(root, [...(parts.get(root) ?? []), group]);
  }
  return [...parts.values()];
};

interface ClusterTable {
  readonly clusters: number;
  readonly groups: number;
  /** Sum and number of values of cluster c in group g at c * groups + g. */
  readonly sums: Float64Array;
  readonly counts: Float64Array;
  /** Mean over groups that each cluster would give alone, where every cluster has as many values in a group as any other. */
  readonly evenTotals?: Float64Array;
}

const tableOf = (members: readonly ClusteredGroup[]): ClusterTable => {
  const index = new Map<string, number>();
  for (const { clusters } of members) for (const name of clusters) if (!index.has(name)) index.set(name, index.size);
  const [clusters, groups] = [index.size, members.length];
  const sums = new Float64Array(clusters * groups);
  const counts = new Float64Array(clusters * groups);
  for (const [g, { values, clusters: names }] of members.entries())
    for (const [i, name] of names.entries()) {
      const at = index.get(name)! * groups + g;
      sums[at]! += values[i]!;
      counts[at]!++;
    }
  const isEven = counts.every((count, at) => count === counts[at % groups]);
  if (!isEven) return { clusters, groups, sums, counts };
  const evenTotals = new Float64Array(clusters);
  for (let at = 0; at < sums.length; at++) evenTotals[Math.floor(at / groups)]! += sums[at]! / counts[at]! / groups;
  return { clusters, groups, sums, counts, evenTotals };
};

const addDraws = (means: Float64Array, table: ClusterTable, weight: number, uint32: () => number): void => {
  const { clusters, groups, sums, counts, evenTotals } = table;
  const scale = clusters / 2 ** 32;
  const [sum, count] = [new Float64Array(groups), new Float64Array(groups)];
  for (let b = 0; b < means.length; b++) {
    if (evenTotals !== undefined) {
      let total = 0;
      for (let i = 0; i < clusters; i++) total += evenTotals[Math.floor(uint32() * scale)]!;
      means[b]! += (weight * total) / clusters;
      continue;
    }
    sum.fill(0);
    count.fill(0);
    for (let i = 0; i < clusters; i++) {
      const from = Math.floor(uint32() * scale) * groups;
      for (let g = 0; g < groups; g++) {
        sum[g]! += sums[from + g]!;
        count[g]! += counts[from + g]!;
      }
    }
    // A group that a draw left empty says nothing in it: the others stand for the mean.
    let total = 0;
    let present = 0;
    for (let g = 0; g < groups; g++) {
      if (count[g] === 0) continue;
      total += sum[g]! / count[g]!;
      present++;
    }
    means[b]! += (weight * total) / Math.max(1, present);
  }
};
