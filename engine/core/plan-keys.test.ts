import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AttentionPlan, Tensor } from '../../methods/contract.js';
import { keysOf } from './plan-keys.js';

const all: AttentionPlan = { parts: [{ keys: { kind: 'all' } }], mix: 'one-softmax' };
const tensor: Tensor = { shape: [1], dtype: 'f32' };
const part = all.parts[0]!;

test('one part over all heads gives its keys', () => {
  assert.deepEqual(keysOf(all, 'here'), { kind: 'all' });
  assert.deepEqual(
    keysOf({ ...all, parts: [{ ...part, positions: 'keep', visible: 'causal', at: 'device' }] }, 'here'),
    {
      kind: 'all',
    },
  );
});

const beyond: Record<string, AttentionPlan> = {
  '0 parts': { ...all, parts: [] },
  '2 parts': { ...all, parts: [part, part] },
  gates: { ...all, mix: { gates: tensor } },
  headGain: { ...all, headGain: tensor },
  queryScale: { ...all, queryScale: tensor },
  'some heads': { ...all, parts: [{ ...part, heads: [0] }] },
  'other positions': { ...all, parts: [{ ...part, positions: 'compact' }] },
  bias: { ...all, parts: [{ ...part, bias: tensor }] },
  tier: { ...all, parts: [{ ...part, at: 'tier' }] },
  'visible segments': { ...all, parts: [{ ...part, visible: 'segments' }] },
};
for (const [what, plan] of Object.entries(beyond)) {
  test(`a plan with ${what} is refused by name instead of being half followed`, () => {
    assert.throws(
      () => keysOf(plan, 'here'),
      (error: Error) => /^\[ERR_UNSUPPORTED\] here/.test(error.message) && error.message.includes(what),
    );
  });
}
