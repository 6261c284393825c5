import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '../random.js';
import { createBootstrap } from '../statistics-bootstrap.js';
import { clusteredMean, clusterShares } from './clustered-mean.js';

const options = { seed: 1, draws: 10_000 };
const range = { low: -1, high: 1 };
const names = (n: number, prefix = 's'): string[] => Array.from({ length: n }, (_, i) => `${prefix}${i}`);
const scores = (n: number, seed: number): number[] => {
  const random = createRandom(seed, 'scores');
  return Array.from({ length: n }, () => random.integer(0, 4) / 4);
};
const width = ({ low, high }: { low: number; high: number }): number => high - low;

test('with one group and a cluster for each value it is the percentile bootstrap', () => {
  const values = scores(40, 1);
  const ours = clusteredMean([{ values, clusters: names(40) }], range, options);
  const plain = createBootstrap(options).percentileMeanOf(values, range);
  assert.equal(ours.mean, plain.mean);
  assert.ok(Math.abs(ours.low - plain.low) < 0.01 && Math.abs(ours.high - plain.high) < 0.01);
});

test('the interval has the closed form of cluster means: 1.96 standard errors over clusters, not over values', () => {
  // 50 clusters of 6 values each, the same within a cluster.
  const means = scores(50, 2);
  const values = means.flatMap((value) => Array<number>(6).fill(value));
  const clusters = names(50).flatMap((name) => Array<string>(6).fill(name));
  const average = means.reduce((sum, value) => sum + value, 0) / 50;
  const deviation = Math.sqrt(means.reduce((sum, value) => sum + (value - average) ** 2, 0)) / 50;
  const found = clusteredMean([{ values, clusters }], range, options);
  assert.ok(Math.abs(width(found) / (2 * 1.96 * deviation) - 1) < 0.05, `${width(found)}, ${3.92 * deviation}`);
});

test('a sample that two tasks share counts once: the interval is no narrower than that of one task', () => {
  const values = scores(30, 3);
  const one = clusteredMean([{ values, clusters: names(30) }], range, options);
  const shared = clusteredMean(
    [0, 1].map(() => ({ values, clusters: names(30) })),
    range,
    options,
  );
  const apart = clusteredMean(
    ['a', 'b'].map((task) => ({ values, clusters: names(30, task) })),
    range,
    options,
  );
  assert.ok(Math.abs(width(shared) / width(one) - 1) < 0.03);
  assert.ok(Math.abs(width(apart) / width(one) - Math.SQRT1_2) < 0.04, 'independent tasks average their noise');
});

test('clusters of unequal size are drawn as wholes, with the mean over what was drawn', () => {
  const values = [0, 0, 0, 0, 1, 1, 0.5];
  const clusters = ['a', 'a', 'a', 'a', 'b', 'b', 'c'];
  const found = clusteredMean([{ values, clusters }], range, options);
  assert.ok(Math.abs(found.mean - 2.5 / 7) < 1e-12);
  // All draws the same cluster: 3 of 27 draws give 0, 1 and 0.5 alone.
  assert.ok(found.low <= 0.001 && found.high >= 0.99);
});

test('cells that all agree are never certain', () => {
  const found = clusteredMean([{ values: Array(20).fill(0), clusters: names(20) }], range, options);
  assert.ok(Math.abs(found.high - 0.161125158053) < 1e-9 && Math.abs(found.low + found.high) < 1e-12);
});

test('nominal 95 % intervals over two tasks with shared samples cover the truth', () => {
  const random = createRandom(17, 'cover');
  let covered = 0;
  for (let repeat = 0; repeat < 300; repeat++) {
    // A sample's difficulty moves both tasks.
    const hard = Array.from({ length: 25 }, () => random.float());
    const task = (): number[] => hard.map((difficulty) => (random.float() < 1 - difficulty ? 1 : 0));
    const groups = [0, 1].map(() => ({ values: task(), clusters: names(25) }));
    const { low, high } = clusteredMean(groups, { low: 0, high: 1 }, { seed: repeat, draws: 500 });
    if (low <= 0.5 && 0.5 <= high) covered++;
  }
  assert.ok(covered >= 270, `${covered} of 300`);
});

test('the shares of clusters add up to the mean over groups', () => {
  const groups = [
    { values: [1, 0, 0.5], clusters: ['a', 'b', 'c'] },
    { values: [-1, 1], clusters: ['a', 'd'] },
  ];
  const shares = clusterShares(groups);
  assert.equal(shares.length, 4);
  assert.ok(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 0.25) < 1e-12);
});
