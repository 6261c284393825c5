import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conforms } from '../conformance.js';
import type { CacheView, Ragged } from '../contract.js';
import { listsOf, naiveTensor } from '../naive-lists.js';
import { naiveSlots } from '../naive-ops.js';
import {
  boundaryView,
  budgetOf,
  keptByMethod,
  layerShape,
  modelFacts,
  type PlantedSample,
  plantSample,
  rowsOf,
  settingOf,
} from '../naive-views.js';
import { attentionWeight, bestIndices, indicesFrom, meanOf } from '../oracle-attention.js';
import { tova } from './tova.js';

conforms(tova);

const total = (tokens: number, contextTokens: number) => budgetOf(tokens, contextTokens, 'total');

test('at the end of the prefill a layer keeps what the last query weighs most over all heads, and that query', async () => {
  const sample = plantSample(2, [layerShape(), layerShape()], 46, 40);
  const kept = await keptByMethod(tova, {}, sample, [total(10, 40), total(25, 40)]);
  [10, 25].forEach((tokens, row) => {
    kept[row]!.forEach((heads, layer) => {
      const weights = indicesFrom(0, 46).map((slot) =>
        meanOf(indicesFrom(0, 8).map((head) => attentionWeight(sample, layer, head, 45, slot))),
      );
      const expected = bestIndices(weights, tokens, new Set([45]));
      for (const slots of heads) assert.deepEqual(slots, expected);
    });
  });
});

/** The view after a step: row r holds `lengths[r]` slots with these weights per query head. */
const stepView = (
  sample: PlantedSample,
  lengths: readonly number[],
  weights: readonly (readonly number[])[][],
  budgets: readonly number[],
): CacheView => {
  const rows = rowsOf(
    sample,
    budgets.map((tokens) => total(tokens, 40)),
  );
  const shape = sample.shapes[0]!;
  const slots = naiveSlots(
    0,
    shape,
    lengths.map((length) => sample.keys[0]!.map((head) => head.slice(0, length))),
  );
  const padded = weights.flatMap((heads) =>
    heads.flatMap((line) => indicesFrom(0, slots.maxLen).map((i) => line[i] ?? -Infinity)),
  );
  return {
    ...boundaryView(sample, 0, rows, 1),
    boundary: 'step',
    slots,
    probs: () => naiveTensor([lengths.length, shape.numQueryHeads, slots.maxLen], padded),
  };
};

const keptAfterStep = (view: CacheView): number[][][] | undefined => {
  const setting = settingOf({}, view.rows.budgets[0]!);
  const [layer] = tova.hooks(setting, modelFacts([view.shape])).cache!.maintain!([view]);
  const action = layer?.actions[0] as { readonly slots: Ragged } | undefined;
  return action === undefined ? undefined : listsOf(action.slots, view.slots.maxLen);
};

test('after a step the slot of least mean weight goes, never the newest, and rows at their limit only', () => {
  const shape = layerShape({ numQueryHeads: 2, numKvHeads: 1 });
  const sample = plantSample(1, [shape], 40);
  const view = stepView(
    sample,
    [5, 7],
    [
      [
        [0.3, 0.1, 0.3, 0.29, 0.01],
        [0.3, 0.2, 0.1, 0.35, 0.05],
      ],
      [
        [0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2],
        [0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2],
      ],
    ],
    [4, 20],
  );
  assert.deepEqual(keptAfterStep(view), [[[0, 2, 3, 4]], [indicesFrom(0, 7)]]);
});

test('equal weights drop the newer of them: ties stay with the lower slot', () => {
  const sample = plantSample(1, [layerShape({ numQueryHeads: 1, numKvHeads: 1 })], 40);
  assert.deepEqual(keptAfterStep(stepView(sample, [4], [[[0.2, 0.2, 0.2, 0.4]]], [3])), [[[0, 1, 3]]]);
});

test('nothing happens under the limit, and a budget of the whole context is no limit', () => {
  const sample = plantSample(1, [layerShape({ numQueryHeads: 1, numKvHeads: 1 })], 40);
  assert.equal(keptAfterStep(stepView(sample, [4], [[[0.1, 0.2, 0.3, 0.4]]], [4])), undefined);
  assert.equal(keptAfterStep(stepView(sample, [40], [[indicesFrom(0, 40).map(() => 1 / 40)]], [40])), undefined);
});
