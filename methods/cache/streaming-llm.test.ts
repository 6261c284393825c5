import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conforms } from '../conformance.js';
import { budgetOf, keptByMethod, layerShape, modelFacts, plantSample, rowsOf, settingOf } from '../naive-views.js';
import { indicesFrom } from '../oracle-attention.js';
import { streamingLlm } from './streaming-llm.js';

conforms(streamingLlm);

test('keeps the first tokens and the last ones of the context, and the question', async () => {
  const shape = layerShape();
  for (const [tokens, sinkTokens, question] of [
    [10, 4, 0],
    [10, 4, 6],
    [5, 4, 2],
    [9, 0, 3],
  ] as const) {
    const sample = plantSample(1, [shape], 30 + question, 30);
    const [row] = await keptByMethod(streamingLlm, { sinkTokens }, sample, [budgetOf(tokens, 30)]);
    const expected = [...indicesFrom(0, sinkTokens), ...indicesFrom(30 - (tokens - sinkTokens), 30 + question)];
    for (const slots of row![0]!) assert.deepEqual(slots, expected);
  }
});

test('a budget of the whole context keeps everything', async () => {
  const [row] = await keptByMethod(streamingLlm, { sinkTokens: 4 }, plantSample(1, [layerShape()], 33, 30), [
    budgetOf(30, 30),
  ]);
  assert.deepEqual(row![0]![0], indicesFrom(0, 33));
});

test('a budget without room for a recent token is refused', () => {
  const model = modelFacts([layerShape()]);
  const budget = budgetOf(4, 30);
  const [sequence] = rowsOf(plantSample(1, model.layers, 30), [budget]).sequences;
  assert.throws(() => streamingLlm.hooks(settingOf({ sinkTokens: 4 }, budget), model).admit!(sequence!), {
    code: 'ERR_UNSUPPORTED',
  });
});
