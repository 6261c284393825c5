import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conforms } from '../conformance.js';
import { budgetOf, keptByMethod, layerShape, plantSample } from '../naive-views.js';
import { bestIndices, indicesFrom } from '../oracle-attention.js';
import { knorm } from './knorm.js';

conforms(knorm);

test('keeps the keys of smallest norm in each KV head', async () => {
  const shape = layerShape({ numKvHeads: 4 });
  const sample = plantSample(11, [shape, shape], 50);
  const kept = await keptByMethod(knorm, { sinkTokens: 0, recentTokens: 0 }, sample, [
    budgetOf(12, 50),
    budgetOf(30, 50),
  ]);
  [12, 30].forEach((tokens, row) => {
    sample.keys.forEach((heads, layer) => {
      heads.forEach((keys, head) => {
        const squared = keys.map((key) => {
          let sum = 0;
          for (const x of key) sum += x * x;
          return -sum;
        });
        assert.deepEqual(kept[row]![layer]![head], bestIndices(squared, tokens));
      });
    });
  });
});

test('equal norms go to the lower slot, and the question stays beside the budget', async () => {
  const shape = layerShape({ numQueryHeads: 1, numKvHeads: 1, headDim: 2 });
  const sample = plantSample(1, [shape], 12, 10);
  const keys = [[indicesFrom(0, 12).map((slot) => (slot % 2 === 0 ? [3, 4] : [4, 3]))]];
  const [row] = await keptByMethod(knorm, { sinkTokens: 0, recentTokens: 1 }, { ...sample, keys }, [budgetOf(4, 10)]);
  assert.deepEqual(row![0]![0], [0, 1, 2, 9, 10, 11]);
});
