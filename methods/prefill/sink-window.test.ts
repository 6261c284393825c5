import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conforms } from '../conformance.js';
import type { ChunkView } from '../contract.js';
import { budgetOf, layerShape, modelFacts, settingOf } from '../naive-views.js';
import { sinkWindowPrefill, windowPairs, windowTokens } from './sink-window.js';

conforms(sinkWindowPrefill);

const hooksOf = (tokens: number, n: number, sinkTokens = 4) => {
  const budget = budgetOf(tokens, n);
  return { hooks: sinkWindowPrefill.hooks(settingOf({ sinkTokens }, budget), modelFacts([layerShape()])), budget };
};

test('the window is the widest whose pairs stay within the share of the causal pairs', () => {
  for (const n of [1, 2, 7, 64, 301, 1_024]) {
    for (const fraction of [0.05, 0.25, 0.5, 0.9, 0.999]) {
      const width = windowTokens({ fraction, contextTokens: n });
      const pairs = (w: number): number =>
        Array.from({ length: n }, (_, t) => Math.min(t + 1, w)).reduce((a, b) => a + b, 0);
      assert.ok(pairs(width) <= fraction * ((n * (n + 1)) / 2));
      assert.ok(pairs(width + 1) > fraction * ((n * (n + 1)) / 2));
      assert.equal(windowPairs(width, n), pairs(width));
    }
  }
});

test('sinks count inside the window, and a full budget is dense', () => {
  const view = (tokens: number): ChunkView =>
    ({ rows: { count: 1, budgets: [budgetOf(tokens, 200)], sequences: [] } }) as unknown as ChunkView;
  const width = windowTokens({ fraction: 0.25, contextTokens: 200 });
  assert.deepEqual(hooksOf(50, 200).hooks.prefill!.plan!(view(50)).parts, [
    { keys: { kind: 'window', sinkTokens: 4, recentTokens: width - 4 } },
  ]);
  assert.deepEqual(hooksOf(200, 200).hooks.prefill!.plan!(view(200)).parts, [{ keys: { kind: 'all' } }]);
});

test('a density that leaves no window beside the sinks is refused', () => {
  const sequence = { sampleSeed: 1, length: 200, contextLength: 200 };
  assert.doesNotThrow(() => hooksOf(50, 200).hooks.admit!(sequence));
  assert.throws(() => hooksOf(50, 200, 100).hooks.admit!(sequence), {
    code: 'ERR_UNSUPPORTED',
    message: /more than 100 tokens/,
  });
});

test('the method says that it changes the prefill', () => {
  assert.equal(
    sinkWindowPrefill.declare(settingOf({ sinkTokens: 4 }, budgetOf(1, 1)), modelFacts([])).changesPrefill,
    true,
  );
});
