import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { holm } from './multiple-testing.js';
import { mcnemarExact } from './paired-tests.js';
import { detectableDifference, pairsFor } from './power.js';

/** Power of the exact two-sided McNemar test, by counting out all numbers of changed pairs. */
const exactPower = (pairs: number, worse: number, better: number): number => {
  const logFactorial = [0];
  for (let i = 1; i <= pairs; i++) logFactorial.push(logFactorial[i - 1]! + Math.log(i));
  let power = 0;
  for (let b = 0; b <= pairs; b++)
    for (let c = 0; b + c <= pairs; c++) {
      if (mcnemarExact(b, c) > 0.05) continue;
      const same = pairs - b - c;
      const ways = logFactorial[pairs]! - logFactorial[b]! - logFactorial[c]! - logFactorial[same]!;
      power += Math.exp(ways + b * Math.log(worse) + c * Math.log(better) + same * Math.log(1 - worse - better));
    }
  return power;
};

test('with the pairs asked for, the exact McNemar test has about the power asked for', () => {
  for (const [worse, better] of [
    [0.11, 0.04],
    [0.2, 0.1],
    [0.3, 0.15],
  ] as const) {
    const pairs = pairsFor(worse - better, { meanSquare: worse + better, isBinary: true });
    const power = exactPower(pairs, worse, better);
    // The exact test is a little conservative beside the normal formula.
    assert.ok(power > 0.74 && power < 0.83, `${worse}, ${better}: ${pairs} pairs, power ${power}`);
  }
});

test('the detectable difference and the pairs for it are inverse', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 10, max: 20_000 }),
      fc.double({ min: 0, max: 0.8, noNaN: true }),
      fc.boolean(),
      (pairs, meanSquare, isBinary) => {
        const question = { meanSquare, isBinary };
        const difference = detectableDifference(pairs, question);
        assert.ok(difference !== undefined);
        assert.ok(pairsFor(difference, question) <= pairs);
        if (difference > 1e-6) assert.ok(pairsFor(difference * 0.999, question) >= pairs);
      },
    ),
  );
});

test('more pairs detect less, and agreement in a few pairs is not certainty', () => {
  assert.ok(detectableDifference(400, { meanSquare: 0.2 })! < detectableDifference(100, { meanSquare: 0.2 })!);
  // 20 pairs without a change: a drop of a third of the samples would still be seen, one of a tenth would not.
  const unseen = detectableDifference(20, { meanSquare: 0, isBinary: true })!;
  assert.ok(unseen > 0.2 && unseen < 0.4, `${unseen}`);
  assert.equal(detectableDifference(2, { meanSquare: 0, isBinary: true }), undefined);
});

test('Holm never passes what Bonferroni would stop at the smallest p, keeps order, and leaves a single p alone', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 20 }), (values) => {
      const adjusted = holm(values);
      const smallest = Math.min(...values);
      assert.ok(Math.abs(Math.min(...adjusted) - Math.min(1, values.length * smallest)) < 1e-12);
      for (const [i, p] of values.entries()) {
        assert.ok(adjusted[i]! >= p && adjusted[i]! <= 1);
        for (const [j, other] of values.entries()) if (p <= other) assert.ok(adjusted[i]! <= adjusted[j]! + 1e-12);
      }
    }),
  );
  assert.deepEqual(holm([0.3]), [0.3]);
  assert.deepEqual(holm([]), []);
});
