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

  /** Keys, values, counts, biases, positions and lens of a cache. */
  const contents = (addon: Addon, cache: CacheId): TensorId[] => [
    ...([0, 1, 2, 3] as const).map((what) => addon.cacheRead(cache, 0, what)),
    ...[0, 1].map((head) => {
      const positions = addon.cachePositions(cache, 0, head);
      return i32(addon, [positions.length], [...positions]);
    }),
  ];
  /** An edit of a fork leaves the cache that it came from as it was. */
  const edited = (addon: Addon, lens: readonly number[], edit: (cache: CacheId) => void): TensorId[] => {
    const cache = cacheOf(addon, lens, 41);
    const fork = addon.cacheFork(cache);
    const before = addon.cacheHash(cache);
    edit(fork);
    assert.equal(addon.cacheHash(cache), before);
    assert.notEqual(addon.cacheHash(fork), before);
    const results = contents(addon, fork);
    addon.cacheFree(cache);
    addon.cacheFree(fork);
    return results;
  };
  /** Every third slot goes into the one behind it or, with `spread`, one slot into many. */
  const merge = (addon: Addon, cache: CacheId, how: readonly [0 | 1 | 2, 0 | 1, 0 | 1], spread: boolean): void => {
    const count = 30;
    const shape = [HEADS, count];
    const entry = (of: (i: number) => number): number[] =>
      Array.from({ length: HEADS * count }, (_, i) => of(i % count));
    addon.cacheMerge(
      cache,
      0,
      i32(
        addon,
        shape,
        entry((i) => (spread ? 5 * Math.floor(i / 10) : 3 * Math.floor(i / 2))),
      ),
      i32(addon, [HEADS], [count, count - 7]),
      i32(
        addon,
        shape,
        entry((i) => (i % 7 === 6 ? -1 : spread ? 20 + (i % 10) : 3 * Math.floor(i / 4) + 1)),
      ),
      f32(
        addon,
        shape,
        entry((i) => (i % 5) / 4),
      ),
      ...how,
    );
  };

  test('merged slots are those of the CPU: means, directions, sums, counts and biases', () => {
    for (const spread of [false, true])
      for (const how of [
        [0, 1, 0],
        [1, 0, 1],
        [2, 0, 1],
      ] as const)
        assertSame(4e-3, (addon) => edited(addon, [90, 140], (cache) => merge(addon, cache, how, spread)));
  });

  test('packed pages come back as elements when slots in them merge or turn', () => {
    const table = Array.from({ length: 3 * 16 }, (_, i) => (i % 16 < 8 ? Math.cos(i >> 4) : Math.sin(i >> 4)));
    assertSame(8e-3, (addon) =>
      edited(addon, [90, 140], (cache) => {
        addon.cacheQuantise(cache, 0, 0, 140, 4, 32, 0);
        addon.cacheQuantise(cache, 0, 1, 70, 8, 16, 1);
        const packed = addon.cacheFork(cache);
        const held = addon.cacheBytes(cache);
        merge(addon, cache, [1, 0, 1], false);
        addon.cacheRotate(
          cache,
          0,
          i32(addon, [HEADS, 1], [3, 70]),
          i32(addon, [HEADS], [1, 1]),
          i32(addon, [HEADS, 1], [2, -1]),
          f32(addon, [3, 16], table),
        );
        assert.ok(addon.cacheBytes(cache) > held);
        assert.equal(addon.cacheBytes(packed), held);
        addon.cacheFree(packed);
      }),
    );
  });

  test('turned keys and their positions are those of the CPU: all slots, some, and positions alone', () => {
    const table = Array.from({ length: 20 * 16 }, (_, i) => {
      const angle = Math.floor(i / 16) * 50 ** ((-2 * (i % 8)) / 16);
      return 1.5 * (i % 16 < 8 ? Math.cos(angle) : Math.sin(angle));
    });
    for (const turns of [true, false])
      assertSame(4e-3, (addon) =>
        edited(addon, [90, 140], (cache) => {
          const slots = Array.from({ length: HEADS * 140 }, (_, i) => (i < 20 ? 10 + 2 * i : -1));
          const delta = Array.from({ length: HEADS * 140 }, (_, i) => (i % 140 < 10 ? i % 3 : (i % 29) - 10));
          addon.cacheRotate(
            cache,
            0,
            i32(addon, [HEADS, 140], slots),
            i32(addon, [HEADS], [20, -1]),
            i32(
              addon,
              [HEADS, 140],
              delta.map((by, i) => Math.max(by, -(i % 140))),
            ),
            turns ? f32(addon, [20, 16], table) : 0,
          );
        }),
      );
  });

  /** Channels 0, 3, 4, … of head 0; of head 1 none but the first is left, or all stay. */
  const thin = (addon: Addon, cache: CacheId, upTo: number, second: 1 | -1 = 1): void =>
    addon.cacheKeepChannels(
      cache,
      0,
      upTo,
      i32(addon, [HEADS, 17], [0, ...Array.from({ length: 16 }, (_, i) => i + 3), 7, ...new Array<number>(16).fill(0)]),
      i32(addon, [HEADS], [17, second]),
    );

  test('keys of some channels read 0 elsewhere and weigh what the CPU counts in its element size', () => {
    for (const upTo of [64, 140])
      assertSame(0, (addon) =>
        edited(addon, [90, 140], (cache) => {
          const all = addon.cacheBytes(cache);
          thin(addon, cache, upTo);
          const element = all / (230 * 2 * DIM);
          const pages = upTo === 64 ? 1 : 2;
          const saved = 64 * (DIM - 17) * element - 17 + pages * (64 * (DIM - 1) * element - 1);
          assert.equal(addon.cacheBytes(cache), all - saved);
        }),
      );
  });

  test('thinned pages take codes of values, forks, copies, moves, merges and a second thinning as those of the CPU do', () => {
    assertSame(8e-3, (addon) =>
      edited(addon, [200, 140], (cache) => {
        thin(addon, cache, 140, -1);
        thin(addon, cache, 200);
        addon.cacheQuantise(cache, 0, 1, 100, 8, 16, 1);
        addon.cacheQuantise(cache, 0, 0, 200, 4, 32, 0);
        const fork = addon.cacheFork(cache);
        merge(addon, fork, [1, 0, 0], false);
        addon.cacheFree(fork);
        const kept = Array.from({ length: HEADS * 120 }, (_, i) => (i % 120) + (i % 120 > 90 ? 12 : 0));
        addon.cacheKeep(cache, 0, i32(addon, [HEADS, 120], kept), i32(addon, [HEADS], [120, -1]));
      }),
    );
    const attended = (addon: Addon): readonly TensorId[] => {
      const cache = cacheOf(addon, [200, 140], 61);
      thin(addon, cache, 200);
      const width = 2 * HEADS * DIM;
      const act = addon === cuda ? 'bf16' : 'f32';
      const q = tensorOf(addon, act, [1, width], coarse(71, width));
      const out = addon.tensor(act, [1, width]);
      addon.attendDecode(q, Int32Array.of(cache), 0, 1, 0.3, 0, 0, 0, 0, 0, 0, out, 0, 0);
      addon.cacheFree(cache);
      return [out];
    };
    assertSame(8e-3, attended);
  });

  test('pages are given back as on the CPU, and a step that gives none back reads nothing', () => {
    const steps = 70;
    const [got, want] = [cuda, cpu].map((addon) => {
      const cache = cacheOf(addon, [200, 330], 81);
      const held: number[] = [];
      let reads = 0;
      for (let step = 0; step < steps; step++) {
        if (step === 20) {
          const turned = i32(addon, [HEADS, 1], [150, 150]);
          addon.cacheRotate(cache, 0, turned, i32(addon, [HEADS], [1, 1]), i32(addon, [HEADS, 1], [500, -150]), 0);
        }
        if (step === 30) addon.cacheDropLast(cache, 20);
        if (step === 40) addon.resetDeviceMeters?.();
        addon.cacheRelease(cache, 0, 100 + step);
        held.push(addon.cacheBytes(cache) / (addon === cuda ? 2 : 4));
        reads = addon.deviceMeters?.().hostReads ?? 0;
      }
      addon.cacheFree(cache);
      return { held, reads };
    });
    assert.deepEqual(got!.held, want!.held);
    assert.ok(got!.reads <= 2, `${got!.reads} host reads in 30 steps`);
  });

  test('lists that do not fit are refused with the value at fault, and nothing changes', () => {
    const cache = cacheOf(cuda, [90, 140], 51);
    const before = cuda.cacheHash(cache);
    const scope = cuda.openScope();
    const list = (values: readonly number[]) => i32(cuda, [HEADS, 2], [0, 1, ...values]);
    const lens = i32(cuda, [HEADS], [2, 2]);
    const weight = f32(cuda, [HEADS, 2], [1, 1, 1, 1]);
    const into = list([0, 9]);
    const merged = (from: TensorId, to: TensorId, by: TensorId, of = lens) =>
      cuda.cacheMerge(cache, 0, from, of, to, by, 1, 0, 0);
    const apart = i32(cuda, [HEADS, 2], [0, 1, 4, 5]);
    const targets = i32(cuda, [HEADS, 2], [8, 9, 8, 9]);
    assert.throws(
      () => merged(apart, targets, weight, i32(cuda, [HEADS], [2, 3])),
      /ERR_SHAPE.*cacheMerge\.lens.*KV head 1.*3/,
    );
    assert.throws(() => merged(list([5, 4]), targets, weight), /ERR_SHAPE.*cacheMerge\.from.*below 140.*KV head 1.*4/);
    assert.throws(
      () => merged(apart, i32(cuda, [HEADS, 2], [8, 9, 8, 5]), weight),
      /ERR_SHAPE.*cacheMerge\.into.*no source.*KV head 1.*5/,
    );
    assert.throws(
      () => merged(apart, targets, f32(cuda, [HEADS, 2], [1, 1, 1, -2])),
      /ERR_SHAPE.*cacheMerge\.weight.*-2/,
    );
    assert.throws(
      () => cuda.cacheRotate(cache, 0, list([7, 140]), lens, into, 0),
      /ERR_SHAPE.*cacheRotate\.slots.*below 140.*140/,
    );
    assert.throws(
      () => cuda.cacheRotate(cache, 0, apart, lens, list([-3, -6]), 0),
      /ERR_SHAPE.*cacheRotate\.delta.*by -6/,
    );
    const channels = (values: readonly number[], of: TensorId) =>
      cuda.cacheKeepChannels(cache, 0, 140, list(values), of);
    assert.throws(() => channels([3, 3], lens), /ERR_SHAPE.*cacheKeepChannels\.channels.*KV head 1.*3/);
    assert.throws(() => channels([3, 4], i32(cuda, [HEADS], [2, 0])), /ERR_SHAPE.*cacheKeepChannels\.lens.*0/);
    cuda.closeScope(scope);
    assert.equal(cuda.cacheHash(cache), before);
    cuda.cacheFree(cache);
  });
});
