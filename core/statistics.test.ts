import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createRandom } from './random.js';
import {
  constantInterval,
  geometricMean,
  mean,
  median,
  medianInterval,
  quantile,
  sum,
  wilsonInterval,
  withoutNoise,
} from './statistics.js';
import { normalCdf, normalQuantile } from './statistics-normal.js';

const near = (actual: number, expected: number, relative: number): void => {
  const close = actual === expected || Math.abs(actual - expected) <= relative * Math.abs(expected);
  assert.ok(close, `${actual} is not within ${relative} of ${expected}`);
};

test('sums carry no rounding noise', () => {
  assert.equal(sum([0.1, 0.2, 0.3]), 0.6);
  assert.equal(sum([1, 1e100, 1, -1e100]), 2);
  assert.equal(mean(Array.from({ length: 10 }, () => 0.1)), 0.1);
  assert.ok(Number.isNaN(mean([])));
});

test('quantiles interpolate as numpy does (recorded values)', () => {
  const values = [3, 1, 4, 1, 5, 9, 2, 6];
  assert.deepEqual(
    [0, 0.1, 0.25, 0.5, 0.9, 1].map((share) => withoutNoise(quantile(values, share))),
    [1, 1, 1.75, 3.5, 6.9, 9],
  );
  assert.deepEqual(values, [3, 1, 4, 1, 5, 9, 2, 6]);
  assert.equal(median([7]), 7);
});

test('the geometric mean equals the value recorded from scipy', () =>
  near(geometricMean([0.5, 2, 8, 1.25]), 1.7782794100389228, 1e-14));

test('the normal distribution and its inverse equal values recorded from scipy', () => {
  const inverse = [
    [1e-10, -6.361340902404056],
    [0.001, -3.090232306167813],
    [0.025, -1.9599639845400545],
    [0.3, -0.5244005127080409],
    [0.5, 0],
    [0.8413, 0.9998150936147446],
    [0.975, 1.959963984540054],
    [0.9999, 3.719016485455709],
  ] as const;
  for (const [p, x] of inverse) near(normalQuantile(p), x, 1e-10);
  const forward = [
    [-8, 6.22096057427174e-16],
    [-3.5, 0.00023262907903552502],
    [-3, 0.0013498980316300933],
    [-1, 0.15865525393145707],
    [0.5, 0.6914624612740131],
    [2.9, 0.998134186699616],
    [3.1, 0.9990323967867817],
    [6, 0.9999999990134123],
  ] as const;
  for (const [x, p] of forward) near(normalCdf(x), p, 1e-11);
  assert.equal(normalQuantile(0), Number.NEGATIVE_INFINITY);
  assert.equal(normalQuantile(1), Number.POSITIVE_INFINITY);
  assert.ok(Number.isNaN(normalQuantile(1.1)));
});

test('the normal quantile undoes the distribution function', () => {
  fc.assert(
    fc.property(fc.double({ min: -6, max: 6, noNaN: true }), (x) =>
      assert.ok(Math.abs(normalQuantile(normalCdf(x)) - x) < 1e-6),
    ),
  );
});

test('Wilson intervals equal values recorded from scipy', () => {
  const recorded = [
    [0, 20, 0, 0.16112515805281935],
    [20, 20, 0.8388748419471808, 1],
    [17, 20, 0.6395811352592431, 0.9476312541037835],
    [1, 50, 0.0035392592716462223, 0.10495443589637814],
  ] as const;
  for (const [successes, n, low, high] of recorded) {
    const interval = wilsonInterval(successes / n, n);
    near(interval.low, low, 1e-12);
    near(interval.high, high, 1e-12);
  }
});

test('a constant sample of scores has the Wilson interval at 0 and at 1, and one of differences is symmetric', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 500 }), (n) => {
      const unit = { low: 0, high: 1 };
      near(constantInterval(0, n, unit).high, wilsonInterval(0, n).high, 1e-12);
      near(constantInterval(1, n, unit).low, wilsonInterval(1, n).low, 1e-12);
      const difference = constantInterval(0, n, { low: -1, high: 1 });
      near(-difference.low, difference.high, 1e-12);
      assert.ok(difference.high > 0);
    }),
  );
});

test('the interval of a median has the ranks of the tables, and at least its level of coverage', () => {
  const ranks = (n: number) => {
    const { low, high } = medianInterval(Array.from({ length: n }, (_, i) => i + 1));
    return [low, high];
  };
  // Ranks of the sign test's 95 % interval: n = 6 is the smallest that has one.
  assert.deepEqual([3, 5, 6, 8, 9, 11, 12, 20].map(ranks), [
    [1, 3],
    [1, 5],
    [1, 6],
    [1, 8],
    [2, 8],
    [2, 10],
    [3, 10],
    [6, 15],
  ]);
  const random = createRandom(4, 'median');
  let covered = 0;
  for (let repeat = 0; repeat < 4_000; repeat++) {
    const { low, high } = medianInterval(Array.from({ length: 9 }, () => random.float() ** 3));
    if (low <= 0.125 && 0.125 <= high) covered++;
  }
  // 492 of 512 in theory.
  assert.ok(Math.abs(covered / 4_000 - 0.961) < 0.015, `${covered}`);
  assert.ok(Number.isNaN(medianInterval([]).low));
});
