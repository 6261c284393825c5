import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conforms } from '../conformance.js';
import {
  budgetOf,
  keptByMethod,
  layerShape,
  modelFacts,
  type PlantedSample,
  plantSample,
  rowsOf,
  settingOf,
} from '../naive-views.js';
import { attentionWeight, bestIndices, indicesFrom, meanOf, queryHeadsOf } from '../oracle-attention.js';
import { parseParams } from '../params.js';
import { snapkv } from './snapkv.js';

conforms(snapkv, { params: { observationWindow: 6 } });

const params = { observationWindow: 6, poolSize: 5, pool: 'avg' } as const;

/** SnapKV as the paper tells it, for one KV head: votes of the window, smoothed, the window itself always stays. */
const oracleKept = (
  sample: PlantedSample,
  layer: number,
  kvHead: number,
  tokens: number,
  how: { pool: 'avg' | 'max'; window: number; size: number },
): number[] => {
  const length = sample.queries[layer]!.length;
  const extra = length - sample.contextLength;
  const perHead = queryHeadsOf(sample, layer, kvHead).map((head) => {
    const votes = indicesFrom(0, length).map((slot) =>
      meanOf(
        indicesFrom(length - how.window, length).map((query) => attentionWeight(sample, layer, head, query, slot)),
      ),
    );
    return votes.map((_, slot) => {
      const near = indicesFrom(slot - (how.size - 1) / 2, slot + (how.size + 1) / 2).map((i) => votes[i] ?? 0);
      return how.pool === 'max' ? Math.max(...near) : meanOf(near);
    });
  });
  const scores = perHead[0]!.map((_, slot) => meanOf(perHead.map((votes) => votes[slot]!)));
  const forced = new Set(indicesFrom(length - Math.max(how.window, extra), length));
  return bestIndices(scores, tokens + extra, forced);
};

for (const [name, shape] of [
  ['GQA 4:1', layerShape()],
  ['MHA', layerShape({ numQueryHeads: 3, numKvHeads: 3 })],
  ['one KV head', layerShape({ numQueryHeads: 7, numKvHeads: 1 })],
] as const) {
  for (const question of [0, 3, 9]) {
    for (const pool of ['avg', 'max'] as const) {
      test(`${name}, question of ${question} tokens, ${pool} pooling: keeps what the definition keeps`, async () => {
        const sample = plantSample(question + 1, [shape, shape], 40 + question, 40);
        const budgets = [10, 23].map((tokens) => budgetOf(tokens, 40));
        const kept = await keptByMethod(snapkv, { ...params, pool }, sample, budgets);
        budgets.forEach(({ tokens }, row) => {
          kept[row]!.forEach((heads, layer) => {
            heads.forEach((slots, kvHead) => {
              assert.deepEqual(slots, oracleKept(sample, layer, kvHead, tokens, { pool, window: 6, size: 5 }));
            });
          });
        });
      });
    }
  }
}

test('a token that every window query looks at is kept with its neighbours at the smallest budget', async () => {
  const shape = layerShape({ numQueryHeads: 1, numKvHeads: 1 });
  const sample = plantSample(3, [shape], 64);
  const direction = indicesFrom(0, 16).map((channel) => (channel === 3 ? 1 : 0));
  const queries = [
    sample.queries[0]!.map((query, slot) => (slot >= 58 ? direction.map((x, i) => 8 * x + query[i]! / 8) : query)),
  ];
  const keys = [[sample.keys[0]![0]!.map((key, slot) => (slot === 20 ? direction.map((x) => 8 * x) : key))]];
  const [row] = await keptByMethod(snapkv, params, { ...sample, keys, queries }, [budgetOf(6 + 5, 64)]);
  assert.deepEqual(row![0]![0]!.slice(0, 5), [18, 19, 20, 21, 22]);
});

test('a window that does not fit the budget is refused, unless the question holds it', () => {
  const model = modelFacts([layerShape()]);
  const budget = budgetOf(5, 40);
  const admit = (length: number) => () =>
    snapkv.hooks(settingOf(params, budget), model).admit!(
      rowsOf(plantSample(1, model.layers, length, 40), [budget]).sequences[0]!,
    );
  assert.throws(admit(40), { code: 'ERR_UNSUPPORTED', message: /at least 6 tokens/ });
  assert.doesNotThrow(admit(50));
});

test('an even pool size is refused by name', () => {
  assert.throws(() => parseParams(snapkv, { poolSize: 4 }), { code: 'ERR_PARAM', message: /snapkv\.poolSize.*odd/ });
});
