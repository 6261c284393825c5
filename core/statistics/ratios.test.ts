import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createRandom } from '../random.js';
import { signedRankTest } from './paired-tests.js';
import { mannWhitney } from './rank-test.js';
import { independentRatio, pairedRatio } from './ratios.js';

const pairs = fc.array(
  fc.tuple(fc.double({ min: 1, max: 9, noNaN: true }), fc.double({ min: 1, max: 9, noNaN: true })),
  {
    minLength: 1,
    maxLength: 14,
  },
);

test('ratios turn over when the sides are swapped, and scale with the times', () => {
  fc.assert(
    fc.property(pairs, (taken) => {
      const [ours, theirs] = [taken.map(([a]) => a), taken.map(([, b]) => b)];
      for (const estimate of [pairedRatio, independentRatio]) {
        const there = estimate(ours, theirs);
        const back = estimate(theirs, ours);
        assert.ok(Math.abs(there.ratio * back.ratio - 1) < 1e-9 && Math.abs(there.low * back.high - 1) < 1e-9);
        const twice = estimate(
          ours.map((value) => 2 * value),
          theirs,
        );
        assert.ok(Math.abs(twice.ratio / there.ratio - 2) < 1e-9);
        assert.ok(there.low <= there.ratio && there.ratio <= there.high);
      }
    }),
  );
});

test('the interval of a paired ratio holds exactly the ratios that the signed-rank test keeps', () => {
  const random = createRandom(5, 'ratios');
  for (const n of [6, 8, 11]) {
    const ours = Array.from({ length: n }, () => 1 + random.float());
    const theirs = Array.from({ length: n }, () => 1 + random.float());
    const { low, high } = pairedRatio(ours, theirs);
    const pAt = (ratio: number): number => signedRankTest(ours.map((a, i) => Math.log(a / theirs[i]! / ratio))).p;
    for (const [inside, outside] of [
      [low * 1.0001, low * 0.9999],
      [high * 0.9999, high * 1.0001],
    ] as const)
      assert.ok(pAt(inside) > 0.05 && pAt(outside) <= 0.05, `${n}: ${pAt(inside)}, ${pAt(outside)}`);
  }
});

test('the interval of an independent ratio holds exactly the ratios that the Mann-Whitney test keeps', () => {
  const random = createRandom(6, 'ratios');
  const ours = Array.from({ length: 8 }, () => 1 + random.float());
  const theirs = Array.from({ length: 7 }, () => 1 + random.float());
  const { low, high } = independentRatio(ours, theirs);
  const pAt = (ratio: number): number =>
    mannWhitney(
      ours,
      theirs.map((b) => b * ratio),
    ).p;
  assert.ok(pAt(low * 1.0001) > 0.05 && pAt(low * 0.9999) <= 0.05);
  assert.ok(pAt(high * 0.9999) > 0.05 && pAt(high * 1.0001) <= 0.05);
});

test('a ratio of 1.1 under outliers is found where means would be ruled by them', () => {
  const random = createRandom(9, 'outliers');
  let covered = 0;
  for (let repeat = 0; repeat < 400; repeat++) {
    const noisy = () => 1 + 0.02 * random.float() + (random.float() < 0.1 ? 2 : 0);
    const theirs = Array.from({ length: 12 }, noisy);
    const ours = Array.from({ length: 12 }, () => 1.1 * noisy());
    const { low, high } = pairedRatio(ours, theirs);
    if (low <= 1.1 && 1.1 <= high) covered++;
  }
  assert.ok(covered >= 370, `${covered} of 400`);
});

test('too few pairs for the level give their whole range', () => {
  const { low, high } = pairedRatio([2, 3, 8], [1, 1, 2]);
  assert.ok(Math.abs(low - 2) < 1e-12 && Math.abs(high - 4) < 1e-12);
  assert.ok(Number.isNaN(pairedRatio([], []).low));
});
