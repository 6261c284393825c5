import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createBootstrap } from './statistics-bootstrap.js';

const unit = { low: 0, high: 1 };
const signed = { low: -1, high: 1 };
const bootstrap = () => createBootstrap({ seed: 1, draws: 10_000 });

const ones = (n: number): number[] => Array.from({ length: n }, () => 1);
const zeros = (n: number): number[] => Array.from({ length: n }, () => 0);

/** scipy.stats.bootstrap 1.17 with 400 000 resamples: values, method, low, high, tolerance where the 97.5 % point falls on a step of 1/20. */
const recorded = [
  [
    [0.1, 0.4, 0.35, 0.8, 0.9, 1, 0.2, 0.55, 0.7, 0.05, 0.65, 0.3],
    'percentile',
    0.3291666666666667,
    0.6708333333333334,
  ],
  [[0.1, 0.4, 0.35, 0.8, 0.9, 1, 0.2, 0.55, 0.7, 0.05, 0.65, 0.3], 'BCa', 1 / 3, 0.675],
  [[...ones(17), ...zeros(3)], 'percentile', 0.7, 1],
  [[...ones(17), ...zeros(3)], 'BCa', 0.65, 0.95],
  [
    [0, 1 / 3, 2 / 3, 1, 1, 1, 2 / 3, 1, 1 / 3, 1, 1, 0, 1, 1, 2 / 3, 1],
    'percentile',
    0.5416666666666666,
    0.8958333333333333,
  ],
  [[0, 1 / 3, 2 / 3, 1, 1, 1, 2 / 3, 1, 1 / 3, 1, 1, 0, 1, 1, 2 / 3, 1], 'BCa', 0.5208333333333333, 0.875],
  [[0, 0, -1, 0, 0, 1, 0, -1, -1, 0, 0, -1, 0, 0, 0, -1, 0, -1, 0, 0], 'BCa', -0.5, 0, 0.05],
] as const;

test('intervals agree with scipy within the noise of 10 000 draws', () => {
  for (const [values, method, low, high, step = 0.01] of recorded) {
    const estimate =
      method === 'BCa' ? bootstrap().meanOf(values, signed) : bootstrap().percentileMeanOf(values, signed);
    assert.ok(Math.abs(estimate.low - low) <= step + 1e-9, `${method}: low ${estimate.low}, scipy ${low}`);
    assert.ok(Math.abs(estimate.high - high) <= step + 1e-9, `${method}: high ${estimate.high}, scipy ${high}`);
  }
});

test('the same seed gives the same interval, and another seed nearly the same', () => {
  const values = recorded[0][0];
  assert.deepEqual(bootstrap().meanOf(values, unit), bootstrap().meanOf(values, unit));
  const other = createBootstrap({ seed: 2, draws: 10_000 }).meanOf(values, unit);
  assert.notDeepEqual(other, bootstrap().meanOf(values, unit));
  assert.ok(Math.abs(other.low - bootstrap().meanOf(values, unit).low) < 0.02);
});

test('an estimate does not depend on what was estimated before it', () => {
  const used = bootstrap();
  used.meanOf([0, 1, 1], unit);
  used.meanOfGroups([[0, 1], [1]], unit);
  assert.deepEqual(used.meanOf(recorded[0][0], unit), bootstrap().meanOf(recorded[0][0], unit));
});

test('the interval holds the mean and stays within the values', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.integer({ min: 0, max: 1_000 }).map((k) => k / 1_000),
        { minLength: 2, maxLength: 40 },
      ),
      (values) => {
        const small = createBootstrap({ seed: 3, draws: 500 });
        for (const { mean, low, high } of [
          small.meanOf(values, unit),
          small.percentileMeanOf(values, unit),
          small.meanOfGroups([values, [0.5]], unit),
        ]) {
          assert.ok(low <= mean && mean <= high && low >= 0 && high <= 1, `${low} <= ${mean} <= ${high}`);
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('adding a constant to paired differences moves the interval by that constant', () => {
  const values = [0, 0.25, 0.5, -0.25, 0.125, 0, 0.5];
  const moved = bootstrap().meanOf(
    values.map((value) => value + 0.25),
    signed,
  );
  const still = bootstrap().meanOf(values, signed);
  assert.ok(Math.abs(moved.low - still.low - 0.25) < 1e-12 && Math.abs(moved.high - still.high - 0.25) < 1e-12);
});

test('constant samples are never certain', () => {
  const all = bootstrap().meanOf(ones(20), unit);
  assert.equal(all.mean, 1);
  assert.ok(Math.abs(all.low - 0.838874841947) < 1e-12 && all.high === 1);
  const none = bootstrap().meanOf(zeros(20), signed);
  assert.deepEqual([none.mean, none.low, none.high], [0, -0.161125158053, 0.161125158053]);
});

test('nominal 95 % intervals of 20 coin flips cover the truth in at least 90 % of 400 repeats', () => {
  const quick = createBootstrap({ seed: 5, draws: 1_000 });
  let covered = 0;
  let state = 12345;
  for (let repeat = 0; repeat < 400; repeat++) {
    const flips = Array.from({ length: 20 }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 16) % 10 < 7 ? 1 : 0;
    });
    const { low, high } = quick.meanOf(flips, unit);
    if (low <= 0.7 && 0.7 <= high) covered++;
  }
  assert.ok(covered >= 360, `${covered} of 400`);
});

test('a mean over groups counts each group once and is narrower than its widest group', () => {
  const groups = [
    [1, 1, 0, 1],
    [0, 0, 0, 1, 0, 0, 1, 0],
  ];
  const joint = bootstrap().meanOfGroups(groups, unit);
  assert.equal(joint.mean, 0.5);
  const widths = groups.map((group) => bootstrap().percentileMeanOf(group, unit)).map(({ low, high }) => high - low);
  assert.ok(joint.high - joint.low < Math.max(...widths));
  const constant = bootstrap().meanOfGroups([ones(20), ones(20)], unit);
  assert.ok(constant.low > 0.838 && constant.low < 0.9 && constant.high === 1, `${constant.low}`);
});

test('100 estimates of 20 samples with 10 000 draws take at most 10 seconds on a busy machine', () => {
  const started = performance.now();
  const shared = bootstrap();
  for (let i = 0; i < 100; i++) shared.meanOf([...recorded[2][0].slice(0, 19), i / 100], unit);
  assert.ok(performance.now() - started < 10_000, `100 estimates took ${performance.now() - started} ms`);
});
