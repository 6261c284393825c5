/** Clusters, masses and codes: the CUDA backend, with this machine as its device, against the CPU. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { Addon, TensorId } from '../addon-types.js';
import { noise } from '../test/tensors.js';
import { type BothBackends, cacheOf, coarse, DIM, f32, HEADS, i32, layoutOf, openBoth } from './test/both-backends.js';
import { hostSkip } from './test/host-backend.js';

describe('clusters, masses and codes on the CUDA backend', { skip: hostSkip }, () => {
  let cuda: Addon;
  let assertSame: BothBackends['assertSame'];
  before(() => {
    ({ cuda, assertSame } = openBoth());
  });

  const withRows = (addon: Addon, use: (rows: Int32Array) => readonly TensorId[]): readonly TensorId[] => {
    const layout = layoutOf(addon);
    const rows = Int32Array.of(cacheOf(addon, [90, 140], 1, layout), cacheOf(addon, [70, 2], 9, layout));
    const results = use(rows);
    for (const cache of rows) addon.cacheFree(cache);
    return results;
  };

  test('clusters are those of the CPU: both seedings, keys and values, more clusters than slots', () => {
    for (const seeding of [0, 1] as const)
      for (const [what, clusters, iterations] of [
        [0, 1, 0],
        [1, 7, 3],
        [0, 12, 2],
      ] as const)
        assertSame(1e-6, (addon) =>
          withRows(addon, (rows) => addon.kMeans(rows, 0, what, clusters, iterations, seeding, 11)),
        );
  });

  test('means of groups are those of the CPU, 0 where a group has no slot', () => {
    const groups = Array.from({ length: 2 * HEADS * 140 }, (_, i) => ((i * 7) % 6) - 1).map((g) => (g === 3 ? -1 : g));
    for (const what of [0, 1] as const)
      assertSame(1e-6, (addon) =>
        withRows(addon, (rows) => [addon.groupMeans(rows, 0, what, i32(addon, [2, HEADS, 140], groups), 6)]),
      );
  });

  test('the heaviest part of a list is that of the CPU, with ties, gaps and protected entries', () => {
    const weights = coarse(21, 2 * 3 * 60).map((w, i) => (i % 11 === 3 ? -Infinity : Math.abs(w)));
    for (const mass of [0, 0.3, 0.9, 1])
      for (const [first, last] of [
        [0, 0],
        [2, 5],
        [40, 40],
      ] as const)
        assertSame(0, (addon) => addon.topP(f32(addon, [2, 3, 60], weights), mass, first, last));
  });

  test('a weight below 0 and a share beyond 1 are refused', () => {
    const weights = f32(cuda, [1, 2, 3], [0.5, 0.25, 0.25, 0.5, -0.1, 0.6]);
    assert.throws(() => cuda.topP(weights, 0.5, 0, 0), /ERR_SHAPE.*topP\.weights.*list 1/);
    assert.throws(() => cuda.topP(weights, 1.5, 0, 0), /ERR_SHAPE.*topP\.mass.*1\.5/);
    cuda.free(weights);
  });

  test('values come back from codes as on the CPU', () => {
    for (const bits of [2, 4, 8])
      for (const along of [0, 1] as const)
        assertSame(1e-6, (addon) => {
          const x = noise(31, 128 * DIM).map((v, i) => (i < 50 ? 1.5 : v));
          return [addon.quantiseRoundTrip(f32(addon, [128, DIM], x), bits, 16, along)];
        });
    const x = cuda.tensor('f32', [10, 16]);
    assert.throws(() => cuda.quantiseRoundTrip(x, 4, 32, 0), /ERR_SHAPE.*divisor of 10/);
    cuda.free(x);
  });
});
