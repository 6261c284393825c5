/** Clusters, masses, codes and edits of slots: the CUDA backend, with this machine as its device, against the CPU. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { Addon, CacheId, LayoutId, TensorId } from '../addon-types.js';
import { loadAddon } from '../index.js';
import { noise, tensorOf } from '../test/tensors.js';
import { hostSkip, openHostBackend } from './test/host-backend.js';

const HEADS = 2;
const DIM = 32;

/** Values that bf16 holds, so that both backends store the same. */
const coarse = (seed: number, count: number): Float32Array => noise(seed, count).map((x) => Math.round(x * 64) / 64);

const i32 = (addon: Addon, shape: number[], values: readonly number[]): TensorId =>
  tensorOf(addon, 'i32', shape, Int32Array.from(values));
const f32 = (addon: Addon, shape: number[], values: ArrayLike<number>): TensorId =>
  tensorOf(addon, 'f32', shape, Float32Array.from(values));

const layoutOf = (addon: Addon): LayoutId =>
  addon.cacheLayout(Int32Array.of(HEADS), Int32Array.of(DIM), Int32Array.of(DIM));

/** A cache of one layer whose heads hold `lens` slots. */
const cacheOf = (addon: Addon, lens: readonly number[], seed: number, layout = layoutOf(addon)): CacheId => {
  const cache = addon.cacheCreate(layout);
  const most = Math.max(...lens);
  const entries = HEADS * most;
  const scope = addon.openScope();
  addon.cacheAppend(
    cache,
    0,
    f32(addon, [HEADS, most, DIM], coarse(seed, entries * DIM)),
    f32(addon, [HEADS, most, DIM], coarse(seed + 1, entries * DIM)),
    i32(
      addon,
      [HEADS, most],
      Array.from({ length: entries }, (_, i) => i % most),
    ),
    i32(
      addon,
      [HEADS, most],
      Array.from({ length: entries }, (_, i) => (i % most < lens[Math.floor(i / most)]! ? 1 + (i % 3) : -1)),
    ),
    f32(addon, [HEADS, most], coarse(seed + 2, entries)),
  );
  addon.closeScope(scope);
  return cache;
};

describe('edits of slots on the CUDA backend', { skip: hostSkip }, () => {
  let cuda: Addon;
  let cpu: Addon;
  before(() => {
    cuda = openHostBackend();
    cpu = loadAddon();
    cpu.configure(cpu.cpuFacts().isas[0]!, 'reference', 1);
  });

  /** What both backends give: the same shapes, the same integers, floats within a relative RMS. */
  const assertSame = (bound: number, run: (addon: Addon) => readonly TensorId[]): void => {
    const [got, want] = [cuda, cpu].map((addon) => {
      const scope = addon.openScope();
      const results = run(addon).map((t) => ({ shape: addon.shape(t), values: addon.download(t) }));
      addon.closeScope(scope);
      return results;
    });
    want!.forEach(({ shape, values }, i) => {
      assert.deepEqual(got![i]!.shape, shape, `shape of result ${i}`);
      if (values instanceof Int32Array) {
        assert.deepEqual(got![i]!.values, values, `result ${i}`);
        return;
      }
      const sum = (of: (k: number) => number): number => {
        let total = 0;
        for (let k = 0; k < values.length; k++) total += of(k) ** 2;
        return total;
      };
      const error = Math.sqrt(
        sum((k) => got![i]!.values[k]! - values[k]!) /
          Math.max(
            1e-30,
            sum((k) => values[k]!),
          ),
      );
      assert.ok(error <= bound, `result ${i}: relative RMS ${error}`);
    });
  };
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
