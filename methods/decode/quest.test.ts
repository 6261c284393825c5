import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conforms } from '../conformance.js';
import type { Budget, LayerShape, Ragged } from '../contract.js';
import { listsOf, type NaiveTensor } from '../naive-lists.js';
import { naiveOps, naiveSlots } from '../naive-ops.js';
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
import { bestIndices, indicesFrom, queryHeadsOf } from '../oracle-attention.js';
import { parseParams } from '../params.js';
import { quest, sparseLayerTokens } from './quest.js';

conforms(quest, { params: { denseLayers: 0 } });

const params = parseParams(quest, { denseLayers: 0 });

const select = (sample: PlantedSample, layer: number, queryLen: number, budgets: readonly Budget[], how = params) => {
  const shape = sample.shapes[layer]!;
  const keys = budgets.map(() => sample.keys[layer]!);
  const pages = naiveOps.blockSummary(naiveSlots(layer, shape, keys), how.pageSize);
  const view = stepView({
    layer,
    shape,
    keys,
    queries: budgets.map(() => sample.queries[layer]!.slice(-queryLen)),
    rows: rowsOf(sample, budgets),
    state: { pages: pages as NaiveTensor },
  });
  const plan = quest.hooks(settingOf(how, budgets[0]!), modelFacts(sample.shapes)).decode!.select!(view);
  const { keys: set } = plan.parts[0]!;
  return set.kind === 'all' ? 'all' : listsOf((set as { lists: Ragged }).lists, 1_000);
};

/** Largest q.k that a key inside the page's box could reach, over the step's queries and the group's heads. */
const boundOf = (sample: PlantedSample, kvHead: number, page: number, queryLen: number): number => {
  const shape = sample.shapes[0]!;
  const members = sample.keys[0]![kvHead]!.slice(page * 16, page * 16 + 16);
  let best = -Infinity;
  for (const query of sample.queries[0]!.slice(-queryLen)) {
    for (const head of queryHeadsOf(sample, 0, kvHead)) {
      let bound = 0;
      for (let c = 0; c < shape.headDim; c++) {
        const q = query[head * shape.headDim + c]!;
        bound += q * (q > 0 ? Math.max(...members.map((key) => key[c]!)) : Math.min(...members.map((key) => key[c]!)));
      }
      best = Math.max(best, bound);
    }
  }
  return best;
};

for (const [name, shape] of [
  ['GQA 4:1', layerShape()],
  ['MHA', layerShape({ numQueryHeads: 2, numKvHeads: 2 })],
] as const) {
  for (const queryLen of [1, 3]) {
    test(`${name}, step of ${queryLen}: reads the pages of largest bound and the newest one`, () => {
      const sample = plantSample(4, [shape], 205, 200);
      const lists = select(sample, 0, queryLen, [budgetOf(48, 200), budgetOf(100, 200)]);
      // 48 + 5 tokens are 3 whole pages, 100 + 5 are 6; 205 slots are 13 pages.
      [3, 6].forEach((pages, row) => {
        indicesFrom(0, 2).forEach((kvHead) => {
          const bounds = indicesFrom(0, 13).map((page) => boundOf(sample, kvHead, page, queryLen));
          assert.deepEqual(lists[row]![kvHead], bestIndices(bounds, pages, new Set([12])));
        });
      });
    });
  }
}

test('a planted key that fits the query is always among the pages read', () => {
  const shape = layerShape({ numQueryHeads: 1, numKvHeads: 1 });
  for (let seed = 0; seed < 20; seed++) {
    const sample = plantSample(seed, [shape], 160);
    const slot = (seed * 37) % 144;
    const query = sample.queries[0]!.at(-1)!;
    const keys = [[sample.keys[0]![0]!.map((key, at) => (at === slot ? query.map((x) => 20 * x) : key))]];
    const lists = select({ ...sample, keys }, 0, 1, [budgetOf(32, 160)]) as number[][][];
    assert.ok(lists[0]![0]!.includes(Math.floor(slot / 16)));
  }
});

test('dense layers read everything and the others give up what that costs', () => {
  const shapes = indicesFrom(0, 10).map(() => layerShape());
  const model = modelFacts(shapes);
  const budget = budgetOf(500, 1_000);
  const sparse = sparseLayerTokens({ denseLayers: 2 }, budget, model);
  assert.equal(sparse, 375);
  assert.ok((2 * 1_000 + 8 * sparse) / 10 <= budget.tokens);
  const sample = plantSample(1, shapes, 100);
  const how = parseParams(quest, { denseLayers: 2 });
  assert.equal(select(sample, 1, 1, [budgetOf(60, 100)], how), 'all');
  assert.notEqual(select(sample, 2, 1, [budgetOf(60, 100)], how), 'all');
});

test('a full budget reads everything; beside a smaller one it lists every page', () => {
  const sample = plantSample(1, [layerShape()], 100, 90);
  assert.equal(select(sample, 0, 1, [budgetOf(90, 90)]), 'all');
  const lists = select(sample, 0, 1, [budgetOf(40, 90), budgetOf(90, 90)]) as number[][][];
  assert.deepEqual(lists[1]![0], indicesFrom(0, 7));
  assert.equal(lists[0]![0]!.length, 3);
});

test('a budget under two pages, or one that the dense layers use up, is refused', () => {
  const admit = (tokens: number, denseLayers: number, layers: readonly LayerShape[]) => () => {
    const budget = budgetOf(tokens, 1_000);
    const hooks = quest.hooks(settingOf(parseParams(quest, { denseLayers }), budget), modelFacts(layers));
    hooks.admit!(rowsOf(plantSample(1, [layers[0]!], 10), [budget]).sequences[0]!);
  };
  const layers = indicesFrom(0, 30).map(() => layerShape());
  assert.doesNotThrow(admit(32, 0, layers));
  assert.throws(admit(31, 0, layers), { code: 'ERR_UNSUPPORTED', message: /two pages of 16/ });
  assert.throws(admit(66, 2, layers), { code: 'ERR_UNSUPPORTED', message: /denseLayers/ });
  assert.throws(admit(900, 2, layers.slice(0, 2)), { code: 'ERR_UNSUPPORTED' });
  assert.doesNotThrow(admit(1_000, 2, layers.slice(0, 2)));
});

test('pages are declared as state of two bounds a channel, so that the engine counts them', () => {
  const { state } = quest.declare(settingOf(params, budgetOf(1, 1)), modelFacts([layerShape({ headDim: 64 })]));
  assert.deepEqual(state.pages, {
    dtype: 'f32',
    life: 'sequence',
    per: 'page',
    scope: 'kvHead',
    width: 128,
    pageSize: 16,
    from: 'keyMinMax',
  });
});
