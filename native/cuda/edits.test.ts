/** Edits of slots: the CUDA backend, with this machine as its device, against the CPU. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { Addon, CacheId, TensorId } from '../addon-types.js';
import { tensorOf } from '../test/tensors.js';
import { type BothBackends, cacheOf, coarse, DIM, f32, HEADS, i32, openBoth } from './test/both-backends.js';
import { hostSkip } from './test/host-backend.js';

describe('edits of slots on the CUDA backend', { skip: hostSkip }, () => {
  let cuda: Addon;
  let cpu: Addon;
  let assertSame: BothBackends['assertSame'];
  before(() => {
    ({ cuda, cpu, assertSame } = openBoth());
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
