import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundaryCounts, boundaryProtection, requireRoom, slotsAfterContext, stepCounts } from './budget.js';
import { knorm } from './cache/knorm.js';
import type { RowFacts } from './contract.js';
import { naiveSlots } from './naive-ops.js';
import { boundaryView, budgetOf, layerShape, modelFacts, plantSample, rowsOf, settingOf } from './naive-views.js';

const facts = (lengths: readonly number[], contextLength: number, tokens: number): RowFacts => ({
  count: lengths.length,
  budgets: lengths.map(() => budgetOf(tokens, contextLength)),
  sequences: lengths.map((length) => ({ sampleSeed: 1, length, contextLength })),
});

test('what follows the context stays beside the budget', () => {
  assert.deepEqual(boundaryCounts(facts([100, 100], 100, 25)), [25, 25]);
  assert.deepEqual(boundaryCounts(facts([112, 112], 100, 25)), [37, 37]);
  assert.throws(() => slotsAfterContext(facts([112, 110], 100, 25)), {
    code: 'ERR_CONTRACT',
    message: /questions of 12, 10/,
  });
});

test('recents of the context stand before the question, recents of the prompt may lie in it', () => {
  assert.deepEqual(boundaryProtection({ sinks: 4, recents: 8 }, 12), { sinks: 4, recents: 20 });
  assert.deepEqual(boundaryProtection({ sinks: 0, recents: 0, promptRecents: 32 }, 12), { sinks: 0, recents: 32 });
  assert.deepEqual(boundaryProtection({ sinks: 0, recents: 0, promptRecents: 8 }, 12), { sinks: 0, recents: 12 });
});

test('a selector reads as many slots as an evictor of the same budget still holds', () => {
  const heads = (lengths: number[]) => lengths.map((length) => Array.from({ length }, () => [0]));
  const shape = layerShape({ headDim: 1 });
  const slots = naiveSlots(0, shape, [heads([117, 117]), heads([60, 57])]);
  assert.deepEqual(stepCounts(slots, [budgetOf(25, 100), budgetOf(25, 100)]), [42, 25]);
});

test('a budget must hold what always stays, unless it holds everything', () => {
  const room = (tokens: number, length: number) => () =>
    requireRoom('x', budgetOf(tokens, 100), { sinks: 4, recents: 8 }, { sampleSeed: 1, length, contextLength: 100 });
  assert.doesNotThrow(room(12, 100));
  assert.doesNotThrow(room(12, 130));
  assert.throws(room(11, 130), {
    code: 'ERR_UNSUPPORTED',
    message: /x at a budget of 11 of 100 tokens: expected at least 12 tokens/,
  });
  assert.doesNotThrow(() =>
    requireRoom('x', budgetOf(3, 3), { sinks: 4, recents: 8 }, { sampleSeed: 1, length: 3, contextLength: 3 }),
  );
});

test('evictors leave alone what cannot be evicted from, and do nothing at a full budget', async () => {
  const shapes = [layerShape(), layerShape({ evictable: false })];
  const sample = plantSample(1, shapes, 20);
  const planFor = async (tokens: number) => {
    const rows = rowsOf(sample, [budgetOf(tokens, 20)]);
    const views = shapes.map((_, layer) => boundaryView(sample, layer, rows, 0));
    const hooks = knorm.hooks(settingOf({ sinkTokens: 0, recentTokens: 0 }, rows.budgets[0]!), modelFacts(shapes));
    return (await hooks.cache!.finishPrefill!(views, undefined as never)).map(({ layer }) => layer);
  };
  assert.deepEqual(await planFor(10), [0]);
  assert.deepEqual(await planFor(20), []);
});
