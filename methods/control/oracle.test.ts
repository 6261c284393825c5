import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conforms } from '../conformance.js';
import { budgetOf, keptByMethod, layerShape, modelFacts, plantSample, rowsOf, settingOf } from '../naive-views.js';
import { indicesFrom } from '../oracle-attention.js';
import { oracle } from './oracle.js';

conforms(oracle, {
  params: { sinkTokens: 2, recentTokens: 4 },
  randomised: 'fills the rest at random, anew for each head',
});

const params = { sinkTokens: 2, recentTokens: 4, seed: 0 };
const shapes = [layerShape()];
const evidence = [
  { start: 12, end: 17 },
  { start: 15, end: 19 },
];

test('keeps sinks, recents, evidence and question, and fills the budget exactly', async () => {
  const sample = plantSample(5, shapes, 46, 40, evidence);
  const kept = await keptByMethod(oracle, params, sample, [budgetOf(13, 40), budgetOf(25, 40), budgetOf(40, 40)]);
  [13, 25, 40].forEach((tokens, row) => {
    for (const slots of kept[row]![0]!) {
      assert.equal(slots.length, tokens + 6);
      assert.deepEqual(
        slots,
        [...new Set(slots)].sort((a, b) => a - b),
      );
      for (const always of [0, 1, ...indicesFrom(12, 19), ...indicesFrom(36, 46)]) assert.ok(slots.includes(always));
    }
  });
  kept[0]![0]!.forEach((slots, head) => {
    assert.ok(
      slots.every((slot) => kept[1]![0]![head]!.includes(slot)),
      'choices of two budgets are nested',
    );
  });
});

test('evidence over the budget refuses that setting only, and a sample without evidence any setting', () => {
  const model = modelFacts(shapes);
  const admit = (tokens: number, spans: typeof evidence | undefined) => () => {
    const budget = budgetOf(tokens, 40);
    const [sequence] = rowsOf(plantSample(5, shapes, 40, 40, spans), [budget]).sequences;
    oracle.hooks(settingOf(params, budget), model).admit!(sequence!);
  };
  assert.doesNotThrow(admit(13, evidence));
  assert.throws(admit(12, evidence), { code: 'ERR_UNSUPPORTED', message: /at least 13 tokens for evidence/ });
  assert.throws(admit(40, undefined), { code: 'ERR_UNSUPPORTED', message: /evidence/ });
});

test('only a control may ask for the evidence', () => {
  assert.equal(oracle.control, true);
});
