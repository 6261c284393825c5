import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conforms } from '../conformance.js';
import type { Ragged } from '../contract.js';
import { listsOf } from '../naive-lists.js';
import {
  budgetOf,
  layerShape,
  modelFacts,
  type PlantedSample,
  plantSample,
  rowsOf,
  settingOf,
  stepView,
} from '../naive-views.js';
import { attentionWeight, bestIndices, indicesFrom, meanOf, queryHeadsOf } from '../oracle-attention.js';
import { oracleTopK } from './oracle-top-k.js';

conforms(oracleTopK);

/** Slots that a step of the last `queryLen` tokens reads at each budget: [row][KV head]. */
const selected = (sample: PlantedSample, queryLen: number, budgets: readonly number[]): number[][][] | 'all' => {
  const rows = rowsOf(
    sample,
    budgets.map((tokens) => budgetOf(tokens, sample.contextLength)),
  );
  const setting = settingOf({}, rows.budgets[0]!);
  const view = stepView({
    layer: 0,
    shape: sample.shapes[0]!,
    keys: budgets.map(() => sample.keys[0]!),
    queries: budgets.map(() => sample.queries[0]!.slice(-queryLen)),
    rows,
  });
  const { keys } = oracleTopK.hooks(setting, modelFacts(sample.shapes)).decode!.select!(view).parts[0]!;
  return keys.kind === 'all' ? 'all' : listsOf((keys as { indices: Ragged }).indices, view.slots.maxLen);
};

for (const [name, shape] of [
  ['GQA 4:1', layerShape()],
  ['MHA', layerShape({ numQueryHeads: 2, numKvHeads: 2 })],
] as const) {
  for (const queryLen of [1, 4]) {
    test(`${name}, step of ${queryLen}: each KV head reads what true attention weighs most`, () => {
      const sample = plantSample(7, [shape], 36, 30);
      const lists = selected(sample, queryLen, [6, 15]);
      [6, 15].forEach((tokens, row) => {
        indicesFrom(0, shape.numKvHeads).forEach((kvHead) => {
          const scores = indicesFrom(0, 36).map((slot) =>
            meanOf(
              queryHeadsOf(sample, 0, kvHead).map((head) =>
                Math.max(
                  ...indicesFrom(36 - queryLen, 36).map((query) => attentionWeight(sample, 0, head, query, slot)),
                ),
              ),
            ),
          );
          const own = new Set(indicesFrom(36 - queryLen, 36));
          assert.deepEqual(lists[row]![kvHead], bestIndices(scores, tokens + 6, own));
        });
      });
    });
  }
}

test('no other set of that size holds more attention mass', () => {
  const sample = plantSample(9, [layerShape({ numQueryHeads: 1, numKvHeads: 1 })], 31, 30);
  const [row] = selected(sample, 1, [8]) as number[][][];
  const mass = (slots: readonly number[]): number =>
    slots.reduce((sum, slot) => sum + attentionWeight(sample, 0, 0, 30, slot), 0);
  const best = mass(row![0]!);
  for (let seed = 0; seed < 50; seed++) {
    const other = [
      ...bestIndices(
        plantSample(seed, [layerShape()], 30).queries[0]!.map((query) => query[0]!),
        8,
      ),
      30,
    ];
    assert.ok(mass(other) <= best);
  }
});

test('a full budget reads everything without scoring', () => {
  assert.equal(selected(plantSample(1, [layerShape()], 36, 30), 1, [30, 30]), 'all');
});
