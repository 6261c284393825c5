import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conforms } from '../conformance.js';
import type { CacheAction } from '../contract.js';
import { boundaryView, budgetOf, layerShape, modelFacts, plantSample, rowsOf, settingOf } from '../naive-views.js';
import { parseParams } from '../params.js';
import { kivi, kiviBytes } from './kivi.js';

conforms(kivi, { params: { residualTokens: 16, groupSize: 16, bits: 4 }, contextTokens: 192 });

const shape = layerShape({ headDim: 64, headDimV: 64 });

const actionsAt = async (length: number, raw: object = {}): Promise<readonly CacheAction[]> => {
  const budget = budgetOf(length, length);
  const sample = plantSample(1, [layerShape({ headDim: 2, headDimV: 2 })], length);
  const view = boundaryView(sample, 0, rowsOf(sample, [budget]), 0);
  const hooks = kivi.hooks(settingOf(parseParams(kivi, raw), budget), modelFacts([shape]));
  const plan = await hooks.cache!.finishPrefill!([view], { forward: () => Promise.reject(new Error('not used')) });
  assert.deepEqual(hooks.cache!.maintain!([view]), plan, 'after a step the same rule holds');
  return plan.flatMap((layer) => layer.actions);
};

test('keys are packed per channel and values per token, all but the residual', async () => {
  const common = { kind: 'quantise', upTo: 300, leaveLast: 128, bits: 2, group: 32 };
  assert.deepEqual(await actionsAt(300), [
    { ...common, what: 'keys', along: 'channel' },
    { ...common, what: 'values', along: 'token' },
  ]);
});

test('nothing is packed before a whole page lies behind the residual', async () => {
  assert.deepEqual(await actionsAt(191), []);
  assert.equal((await actionsAt(192)).length, 2);
  assert.equal((await actionsAt(64, { residualTokens: 0 })).length, 2);
});

test('2 bits in groups of 32 cost 3 bits a number, 4 bits cost 5, and the residual stays whole', () => {
  const model = modelFacts([shape, shape], { elementBytes: 2 });
  const numbersPerSlot = 2 * 2 * (64 + 64);
  for (const [bits, effective] of [
    [2, 3],
    [4, 5],
  ] as const) {
    const params = parseParams(kivi, { bits });
    assert.equal(kiviBytes(params, model, 128), 128 * numbersPerSlot * 2);
    assert.equal(kiviBytes(params, model, 1024), numbersPerSlot * (896 * (effective / 8) + 128 * 2));
    assert.equal(kiviBytes(params, model, 1024 + 63), numbersPerSlot * (896 * (effective / 8) + 191 * 2));
  }
});

test('a budget that bits and residual do not fit is refused with the budget that would do', () => {
  const model = modelFacts([shape], { elementBytes: 2 });
  const admit = (tokens: number, raw: object) => () => {
    const budget = budgetOf(tokens, 1024);
    const sequence = { sampleSeed: 1, length: 1024, contextLength: 1024 };
    kivi.hooks(settingOf(parseParams(kivi, raw), budget), model).admit!(sequence);
  };
  // 896 tokens at 5 of 16 bits and 128 whole ones weigh as much as 408.
  assert.doesNotThrow(admit(408, { bits: 4 }));
  assert.throws(admit(407, { bits: 4 }), { code: 'ERR_UNSUPPORTED', message: /408 whole tokens/ });
  assert.doesNotThrow(admit(296, { bits: 2 }));
  assert.throws(admit(295, { bits: 2 }), { code: 'ERR_UNSUPPORTED' });
});

test('groups that do not divide the head are refused', () => {
  const model = modelFacts([layerShape({ headDim: 48, headDimV: 48 })]);
  const hooks = kivi.hooks(settingOf(parseParams(kivi, {}), budgetOf(10, 10)), model);
  assert.throws(() => hooks.admit!({ sampleSeed: 1, length: 10, contextLength: 10 }), {
    code: 'ERR_UNSUPPORTED',
    message: /headDim \(48\)/,
  });
});
