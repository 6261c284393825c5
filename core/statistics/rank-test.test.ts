import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mannWhitney } from './rank-test.js';

const times = fc.array(
  fc.integer({ min: 1, max: 30 }).map((k) => k / 2),
  { minLength: 1, maxLength: 18 },
);

test('U counts the pairs in which ours is larger, ties half', () => {
  fc.assert(
    fc.property(times, times, (ours, theirs) => {
      const pairs = ours.flatMap((a) => theirs.map((b) => (a > b ? 1 : a === b ? 0.5 : 0)));
      const { u } = mannWhitney(ours, theirs);
      assert.ok(Math.abs(u - pairs.reduce((sum: number, pair) => sum + pair, 0)) < 1e-9);
    }),
  );
});

test('the test does not care who is first, nor what scale the times have', () => {
  fc.assert(
    fc.property(times, times, (ours, theirs) => {
      const { p } = mannWhitney(ours, theirs);
      assert.ok(Math.abs(p - mannWhitney(theirs, ours).p) < 1e-12);
      assert.ok(Math.abs(p - mannWhitney(ours.map(Math.log), theirs.map(Math.log)).p) < 1e-12);
      assert.ok(p > 0 && p <= 1);
    }),
  );
});

test('full separation has the closed form 2 / (n over k); equal samples say nothing', () => {
  assert.ok(Math.abs(mannWhitney([1, 2, 3], [4, 5, 6]).p - 2 / 20) < 1e-12);
  assert.ok(Math.abs(mannWhitney([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]).p - 2 / 252) < 1e-12);
  assert.equal(mannWhitney([7, 7, 7], [7, 7]).p, 1);
  assert.equal(mannWhitney(Array(50).fill(7), Array(50).fill(7)).p, 1);
  assert.equal(mannWhitney([], [1]).p, 1);
});
