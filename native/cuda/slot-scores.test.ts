/** Scores by parts of keys and statistics of columns: the CUDA backend, with this machine as its device, against the CPU. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { Addon, CacheId, TensorId } from '../addon-types.js';
import { loadAddon } from '../index.js';
import { appendNoise, filledCache, noise, tensorOf } from '../test/tensors.js';
import { openHostBackend } from './test/host-backend.js';

const shape = { numKvHeads: 2, headDim: 32, layers: 1 };
const heads = 4;
const width = heads * shape.headDim;

describe('scores by parts of keys on the CUDA backend', () => {
  let cuda: Addon;
  let cpu: Addon;
  before(() => {
    cuda = openHostBackend();
    cpu = loadAddon();
    cpu.configure(cpu.cpuFacts().isas[0]!, 'reference', 1);
  });

  /** Values of both backends; the CPU computes in f32 over keys that were not rounded. */
  const assertClose = (bound: number, run: (addon: Addon, act: 'bf16' | 'f32') => TensorId): void => {
    const [got, want] = [cuda, cpu].map((addon, i) => {
      const scope = addon.openScope();
      const values = addon.download(run(addon, i === 0 ? 'bf16' : 'f32'));
      addon.closeScope(scope);
      return values;
    });
    assert.equal(got!.length, want!.length);
    let difference = 0;
    let size = 0;
    want!.forEach((w, i) => {
      if (w === -Infinity || got![i] === -Infinity) assert.equal(got![i], w, `entry ${i}`);
      else {
        difference += (got![i]! - w) ** 2;
        size += w ** 2;
      }
    });
    assert.ok(size > 0, 'something is compared');
    assert.ok(Math.sqrt(difference / size) <= bound, `relative RMS ${Math.sqrt(difference / size)} above ${bound}`);
  };
  /** Two rows whose heads differ in length. */
  const withRows = (addon: Addon, use: (rows: Int32Array) => TensorId): TensorId => {
    const first: CacheId = filledCache(addon, shape, 90, 3);
    const second = addon.cacheFork(first);
    addon.cacheDropLast(second, 30);
    const kept = Array.from({ length: 140 }, (_, i) => (i < 70 ? i : Math.floor((i - 70) * 1.2)));
    addon.cacheKeep(
      first,
      0,
      tensorOf(addon, 'i32', [2, 70], Int32Array.from(kept)),
      tensorOf(addon, 'i32', [2], Int32Array.of(50, 70)),
    );
    const result = use(Int32Array.of(first, second));
    addon.cacheFree(first);
    addon.cacheFree(second);
    return result;
  };

  test('channel scores: all channels and lists of some, every way of the heads', () => {
    for (const gqa of [0, 1, 2, 3, 4] as const)
      assertClose(8e-3, (addon, act) =>
        withRows(addon, (rows) =>
          addon.channelScores(
            tensorOf(addon, act, [2, 2, width], noise(5, 4 * width)),
            rows,
            0,
            tensorOf(
              addon,
              'i32',
              [2, 2, 8],
              Int32Array.from({ length: 32 }, (_, i) => (i % 8) * 3 + (i >> 3)),
            ),
            tensorOf(addon, 'i32', [2, 2], Int32Array.of(8, -1, 5, 8)),
            gqa,
          ),
        ),
      );
  });
  test('plane scores, with planes of different use', () => {
    for (const gqa of [0, 1, 2, 3] as const)
      assertClose(1e-5, (addon) =>
        addon.planeScores(
          tensorOf(addon, 'f32', [1, 2, heads * 6], noise(7, 2 * heads * 6)),
          tensorOf(addon, 'f32', [1, 2, 20, 6], noise(8, 240)),
          Int32Array.of(20, 11),
          heads,
          gqa,
        ),
      );
  });
  test('projections of slots and of queries', () => {
    const basisOf = (addon: Addon): TensorId => tensorOf(addon, 'f32', [2, 5, 32], noise(9, 320));
    for (const last of [0, 7])
      assertClose(8e-3, (addon) =>
        withRows(addon, (rows) => addon.projectSlots(rows, 0, last === 0 ? 0 : 1, basisOf(addon), last)),
      );
    assertClose(8e-3, (addon, act) =>
      addon.projectQueries(tensorOf(addon, act, [2, 3, width], noise(10, 6 * width)), basisOf(addon), heads),
    );
  });
  test('cosines of listed slots', () => {
    const slots = (addon: Addon, count: number): TensorId =>
      tensorOf(
        addon,
        'i32',
        [2, 2, count],
        Int32Array.from({ length: 4 * count }, (_, i) => (i * 7) % 49),
      );
    assertClose(8e-3, (addon) =>
      withRows(addon, (rows) =>
        addon.pairwiseCosine(
          rows,
          0,
          0,
          slots(addon, 4),
          tensorOf(addon, 'i32', [2, 2], Int32Array.of(4, 2, 0, 3)),
          slots(addon, 9),
          tensorOf(addon, 'i32', [2, 2], Int32Array.of(9, 9, 4, 1)),
        ),
      ),
    );
  });
  test('column statistics over chunks, every reduction, with a first row', () => {
    for (const reduce of [0, 1, 2, 3, 4] as const)
      assertClose(2e-2, (addon, act) => {
        const cache = filledCache(addon, shape, 40, 11);
        const state = addon.tensor('f32', [reduce === 3 ? 4 : 2, heads, 100]);
        for (const [chunk, seed] of [
          [30, 21],
          [25, 22],
        ] as const) {
          const [len = 0] = addon.cacheLens(cache);
          appendNoise(addon, cache, shape, 0, chunk, seed, len);
          const q = tensorOf(addon, act, [chunk, width], noise(seed + 50, chunk * width));
          const lse = addon.tensor('f32', [chunk, heads]);
          addon.attendPrefill(q, cache, 0, 0.3, 0, 0, 0, addon.tensor(act, [chunk, width]), lse);
          addon.columnStats(q, cache, 0, 0.3, 0, 0, lse, 45, reduce, state);
        }
        const out = addon.finishColumnStats(state, reduce, 45, 95);
        addon.cacheFree(cache);
        return out;
      });
  });
  test('a state too narrow for the slots is refused', () => {
    const cache = filledCache(cuda, shape, 10, 1);
    const q = cuda.tensor('bf16', [2, width]);
    const call = () =>
      cuda.columnStats(q, cache, 0, 1, 0, 0, cuda.tensor('f32', [2, heads]), 0, 0, cuda.tensor('f32', [2, heads, 9]));
    assert.throws(call, { code: 'ERR_SHAPE' });
  });
});
