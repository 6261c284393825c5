import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AttentionPlan, Tensor } from '../../methods/contract.js';
import { plainKeys } from './plan-keys.js';

const all: AttentionPlan = { parts: [{ keys: { kind: 'all' } }], mix: 'one-softmax' };
const tensor: Tensor = { shape: [1], dtype: 'f32' };
const part = all.parts[0]!;
const plain = { keyRope: 'post', positions: 'keep' } as const;

test('one part over all heads is served by one fast call', () => {
  assert.deepEqual(plainKeys(all, plain), { kind: 'all' });
  const spelled: AttentionPlan = { ...all, parts: [{ ...part, positions: 'keep', visible: 'causal', at: 'tier' }] };
  assert.deepEqual(plainKeys(spelled, plain), { kind: 'all' });
});

const beyond: Record<string, AttentionPlan> = {
  'no parts': { ...all, parts: [] },
  'two parts': { ...all, parts: [part, part] },
  gates: { ...all, mix: { gates: tensor } },
  headGain: { ...all, headGain: tensor },
  queryScale: { ...all, queryScale: tensor },
  'some heads': { ...all, parts: [{ ...part, heads: [0] }] },
  'other positions': { ...all, parts: [{ ...part, positions: 'compact' }] },
  bias: { ...all, parts: [{ ...part, bias: tensor }] },
  segments: { ...all, parts: [{ ...part, visible: 'segments' }] },
};
for (const [what, plan] of Object.entries(beyond)) {
  test(`a plan with ${what} goes the general way, so that no field is ignored`, () => {
    assert.equal(plainKeys(plan, plain), undefined);
  });
}

test('a layout that rotates what is read goes the general way too', () => {
  assert.equal(plainKeys(all, { keyRope: 'pre', positions: 'keep' }), undefined);
  assert.equal(plainKeys(all, { keyRope: 'post', positions: 'compact' }), undefined);
});
