import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adaptive, pyramid, uniform, withAllocator } from './allocate.js';
import { kivi } from './cache/kivi.js';
import { knorm } from './cache/knorm.js';
import { snapkv } from './cache/snapkv.js';
import { composeMethods } from './compose.js';
import { conforms } from './conformance.js';
import { redeclare } from './conformance-watch.js';
import type { Allocator, Method } from './contract.js';
import { budgetOf, keptByMethod, layerShape, plantSample } from './naive-views.js';

const allocated = (allocator: Allocator, id: string) =>
  withAllocator(snapkv, () => allocator, {
    id,
    name: id,
    source: { title: 'Fixture of the contract: allocators' },
    deviations: [],
  });

const uniformSnapkv = allocated(uniform, 'fixture-uniform');
const pyramidSnapkv = allocated(pyramid(20, 6), 'fixture-pyramid');
const adaptiveSnapkv = allocated(adaptive(0.2, 6), 'fixture-adaptive');

const params = { observationWindow: 6, poolSize: 5, pool: 'avg' } as const;
conforms(uniformSnapkv as Method, { params });
conforms(
  redeclare(pyramidSnapkv as Method, () => ({ waives: { T7: 'the last layers keep little more than the window' } })),
  { params },
);
conforms(
  redeclare(adaptiveSnapkv as Method, () => ({ waives: { C23: 'of equal heads the lower one gets the odd slot' } })),
  { params },
);

const shapes = [layerShape(), layerShape(), layerShape(), layerShape()];
const sample = plantSample(4, shapes, 100);
const sizesOf = async (method: typeof uniformSnapkv, tokens: readonly number[]): Promise<number[][][]> =>
  (
    await keptByMethod(
      method as Method,
      params,
      sample,
      tokens.map((n) => budgetOf(n, 100)),
    )
  ).map((layers) => layers.map((heads) => heads.map((slots) => slots.length)));

test('a uniform allocator is the evictor itself', async () => {
  const budgets = [20, 50].map((n) => budgetOf(n, 100));
  assert.deepEqual(
    await keptByMethod(uniformSnapkv as Method, params, sample, budgets),
    await keptByMethod(snapkv as Method, params, sample, budgets),
  );
});

test('a pyramid falls linearly, ends at 1/20 beside the window, and sums to the budget', async () => {
  const [sizes] = await sizesOf(pyramidSnapkv, [46]);
  // 40 beside the window of 6: from 78 to 2 over four layers.
  assert.deepEqual(
    sizes,
    [
      [84, 84],
      [59, 58],
      [33, 33],
      [8, 8],
    ].map(([a]) => [a, a]),
  );
  assert.equal(
    sizes!.flat().reduce((a, b) => a + b, 0),
    4 * 2 * 46,
  );
});

test('a pyramid that has no room at its foot is flatter', async () => {
  const [sizes] = await sizesOf(pyramidSnapkv, [80]);
  assert.equal(sizes![0]![0], 100);
  assert.equal(
    sizes!.flat().reduce((a, b) => a + b, 0),
    4 * 2 * 80,
  );
});

test('adaptive heads share the budget of their layer and keep a floor', async () => {
  const sizes = await sizesOf(adaptiveSnapkv, [30, 60]);
  sizes.forEach((layers, row) => {
    const budget = [30, 60][row]!;
    for (const heads of layers) {
      assert.equal(heads[0]! + heads[1]!, 2 * budget);
      assert.ok(Math.min(...heads) >= Math.max(6, Math.floor(0.2 * budget)));
    }
  });
  assert.ok(
    sizes.some((layers) => layers.some(([a, b]) => a !== b)),
    'heads differ',
  );
});

test('scores that compare within heads alone cannot be allocated across them', () => {
  const method = withAllocator(knorm, () => adaptive(0.2, 0), {
    id: 'x',
    name: 'x',
    source: { title: 'x' },
    deviations: [],
  });
  assert.throws(
    () =>
      method.hooks({ params: { sinkTokens: 0, recentTokens: 0 }, budget: budgetOf(5, 10), protocol: 'query-aware' }, {
        layers: [],
      } as never),
    { code: 'ERR_COMPOSE' },
  );
});

test('an allocated evictor composes with a quantiser', () => {
  const composed = composeMethods([{ method: adaptiveSnapkv as Method }, { method: kivi }]);
  assert.equal(composed.id, 'fixture-adaptive+kivi');
});
