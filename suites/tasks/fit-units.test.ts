import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fitUnits } from './fit-units.js';

const anyUnits = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 200, maxLength: 200 });

test('the answer fits and one unit more would not, however wrong the estimates are', () => {
  fc.assert(
    fc.property(anyUnits, anyUnits, fc.integer({ min: 60, max: 150 }), (units, estimates, length) => {
      const promptTokens = (n: number) => 20 + units.slice(0, n).reduce((sum, tokens) => sum + tokens, 0);
      const n = fitUnits({ task: 't', length, maxNewTokens: 10, promptTokens, unitTokens: (i) => estimates[i]! });
      assert.ok(promptTokens(n) + 10 <= length);
      assert.ok(promptTokens(n + 1) + 10 > length);
    }),
  );
});

test('with additive tokens the whole prompt is counted three times at any length', () => {
  let counts = 0;
  const promptTokens = (n: number) => {
    counts += 1;
    return 20 + 17 * n;
  };
  assert.equal(fitUnits({ task: 't', length: 131_072, maxNewTokens: 128, promptTokens, unitTokens: () => 17 }), 7701);
  assert.equal(counts, 3);
});

test('a length that cannot hold the empty prompt is an error that names the least length', () => {
  const fit = () => fitUnits({ task: 'vt', length: 25, maxNewTokens: 10, promptTokens: () => 20, unitTokens: () => 1 });
  assert.throws(fit, /^WinnowError: \[ERR_SUITE\] vt: expected a length of at least 30 tokens .*got 25/);
});
