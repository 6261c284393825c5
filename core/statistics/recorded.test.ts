/** Against values of scipy and statsmodels; scripts/record-statistics.py records them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import recorded from './fixtures/recorded.json' with { type: 'json' };
import { holm } from './multiple-testing.js';
import { type Alternative, mcnemarExact, signedRankTest, signFlipTest } from './paired-tests.js';
import { pairsFor } from './power.js';
import { mannWhitney } from './rank-test.js';

const near = (actual: number, expected: number, relative = 1e-9): void =>
  assert.ok(Math.abs(actual - expected) <= relative * Math.abs(expected), `${actual}, recorded ${expected}`);

test('exact McNemar p values equal those of statsmodels', () => {
  for (const { worse, better, p, less } of recorded.mcnemar) {
    near(mcnemarExact(worse, better), p);
    near(mcnemarExact(worse, better, 'less'), less);
  }
});

test('exact sign-flip p values equal those of scipy for all alternatives', () => {
  for (const { values, p } of recorded.signFlips)
    for (const [alternative, expected] of Object.entries(p)) {
      const found = signFlipTest(values, { alternative: alternative as Alternative });
      assert.equal(found.method, 'exact');
      near(found.p, expected);
    }
});

test('signed-rank p values equal those of scipy', () => {
  for (const { values, p, greater } of recorded.signedRanks) {
    near(signedRankTest(values).p, p);
    near(signedRankTest(values, 'greater').p, greater);
  }
});

test('Mann-Whitney statistics and p values equal those of scipy, with and without ties, exact and normal', () => {
  for (const { ours, theirs, u, p, method } of recorded.mannWhitney) {
    const found = mannWhitney(ours, theirs);
    assert.equal(found.method, method);
    near(found.u, u);
    near(found.p, p);
  }
});

test('Holm adjusts as statsmodels does', () => {
  for (const { p, adjusted } of recorded.holm) for (const [i, value] of holm(p).entries()) near(value, adjusted[i]!);
});

test('pairs needed for a difference are those of statsmodels, rounded up', () => {
  for (const { difference, meanSquare, sides, pairs } of recorded.power)
    assert.equal(pairsFor(difference, { meanSquare, sides: sides as 1 | 2 }), Math.ceil(pairs));
});
