import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createRandom } from '../random.js';
import { mcnemarExact, midRanks, signedRankTest, signFlipTest } from './paired-tests.js';

const near = (actual: number, expected: number, relative: number): void =>
  assert.ok(Math.abs(actual - expected) <= relative * Math.abs(expected), `${actual} is not ${expected}`);

/** All sign patterns, one by one: what the test is by definition. */
const bySigns = (values: readonly number[], isHit: (sum: number, observed: number) => boolean): number => {
  const observed = values.reduce((sum, value) => sum + value, 0);
  let hits = 0;
  for (let pattern = 0; pattern < 2 ** values.length; pattern++) {
    let sum = 0;
    for (const [i, value] of values.entries()) sum += (pattern >> i) & 1 ? value : -value;
    if (isHit(sum, observed)) hits++;
  }
  return hits / 2 ** values.length;
};

test('McNemar is the binomial tail: closed forms for one-sided changes and for balance', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), (n) => {
      near(mcnemarExact(n, 0), Math.min(1, 2 * 0.5 ** n), 1e-12);
      near(mcnemarExact(n, 0, 'less'), 0.5 ** n, 1e-12);
      assert.equal(mcnemarExact(n, n), 1);
      assert.equal(mcnemarExact(0, n, 'less'), 1);
    }),
  );
  assert.equal(mcnemarExact(0, 0), 1);
});

test('the two tails of McNemar overlap in the observed count only', () => {
  fc.assert(
    fc.property(fc.nat(400), fc.nat(400), (worse, better) => {
      const n = worse + better;
      let log = -n * Math.LN2;
      for (let i = 1; i <= worse; i++) log += Math.log((better + i) / i);
      const both = mcnemarExact(worse, better, 'less') + mcnemarExact(worse, better, 'greater');
      near(both, 1 + Math.exp(log), 1e-9);
    }),
  );
});

test('sign flips of right-or-wrong scores are exact McNemar', () => {
  fc.assert(
    fc.property(fc.nat(80), fc.nat(80), fc.nat(30), (worse, better, same) => {
      const differences = [
        ...Array<number>(worse).fill(-1),
        ...Array<number>(better).fill(1),
        ...Array<number>(same).fill(0),
      ];
      for (const alternative of ['two-sided', 'less', 'greater'] as const)
        near(signFlipTest(differences, { alternative }).p, mcnemarExact(worse, better, alternative), 1e-12);
    }),
  );
});

test('sign flips count what listing all patterns counts, on a lattice and off it', () => {
  const quarters = fc.array(
    fc.integer({ min: -4, max: 4 }).map((k) => k / 4),
    { minLength: 1, maxLength: 11 },
  );
  // Sizes near the rounding that both sides pass over are neither differences nor ties.
  const size = fc.double({ min: -1, max: 1, noNaN: true }).map((value) => (Math.abs(value) < 1e-6 ? 0 : value));
  const any = fc.array(size, { minLength: 1, maxLength: 11 });
  fc.assert(
    fc.property(fc.oneof(quarters, any), (values) => {
      const moved = values.filter((value) => Math.abs(value) > 1e-12);
      const tie = 1e-11;
      near(
        signFlipTest(values).p,
        bySigns(moved, (sum, observed) => Math.abs(sum) >= Math.abs(observed) - tie),
        1e-9,
      );
      near(
        signFlipTest(values, { alternative: 'less' }).p,
        bySigns(moved, (sum, observed) => sum <= observed + tie),
        1e-9,
      );
    }),
    { numRuns: 60 },
  );
});

test('above the exact sizes a seeded simulation is within four of its stated standard errors of the exact p', () => {
  const random = createRandom(3, 'flips');
  for (let repeat = 0; repeat < 5; repeat++) {
    // The test does not know scale: whole numbers have an exact distribution, the same in steps of 1/127 has not.
    const whole = Array.from({ length: 60 }, () => random.integer(-60, 70));
    const exact = signFlipTest(whole);
    assert.equal(exact.method, 'exact');
    const simulated = signFlipTest(whole.map((value) => value / 127));
    assert.equal(simulated.method, 'monte-carlo');
    assert.ok(Math.abs(simulated.p - exact.p) <= 4 * simulated.standardError!, `${simulated.p}, ${exact.p}`);
  }
  const values = Array.from({ length: 100 }, () => random.float() - 0.45);
  assert.deepEqual(signFlipTest(values, { seed: 2 }), signFlipTest(values, { seed: 2 }));
  assert.notDeepEqual(signFlipTest(values, { seed: 2 }), signFlipTest(values, { seed: 3 }));
});

test('a simulated p agrees with the normal distribution, which hundreds of pairs follow', () => {
  const random = createRandom(8, 'normal');
  const values = Array.from({ length: 800 }, () => random.float() - 0.48);
  const z =
    values.reduce((sum, value) => sum + value, 0) / Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
  const found = signFlipTest(values, { alternative: 'greater', draws: 40_000 });
  // 1 - Phi(z) by Simpson's rule.
  let tail = 0;
  const steps = 2_000;
  for (let i = 0; i <= steps; i++)
    tail += (i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2) * Math.exp(-0.5 * (z + (i * (10 - z)) / steps) ** 2);
  tail *= (10 - z) / steps / 3 / Math.sqrt(2 * Math.PI);
  assert.ok(Math.abs(found.p - tail) < 4 * found.standardError! + 0.002, `${found.p}, ${tail}`);
});

test('nothing that differs is no evidence', () => {
  assert.deepEqual(signFlipTest([0, 0, 1e-16]), { p: 1, method: 'none' });
  assert.deepEqual(signFlipTest([]), { p: 1, method: 'none' });
  assert.equal(signedRankTest([]).p, 1);
});

test('false alarms of the exact tests stay below their level', () => {
  const random = createRandom(11, 'alarms');
  let flips = 0;
  let ranks = 0;
  for (let repeat = 0; repeat < 1_000; repeat++) {
    const values = Array.from({ length: 15 }, () => (random.float() < 0.5 ? -1 : 1) * random.float() ** 3);
    if (signFlipTest(values).p < 0.05) flips++;
    if (signedRankTest(values).p < 0.05) ranks++;
  }
  // 0.05 and three standard errors.
  assert.ok(flips <= 71 && ranks <= 71, `${flips}, ${ranks} of 1000`);
});

test('ranks of ties are the middle of the places they take', () => {
  assert.deepEqual([...midRanks([3, 1, 3, 2, 3])], [4, 1, 4, 2, 4]);
});
