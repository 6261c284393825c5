import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { Addon, CacheId } from '../addon-types.js';
import { loadAddon } from '../index.js';
import { hostSkip, openHostBackend } from './test/host-backend.js';

const HEADS = [2, 3];
const DIM = 16;

/** A value that bf16 holds, so that both backends store the same. */
const storable = (seed: number, i: number): number => ((Math.imul(seed * 7919 + i, 2654435761) >>> 24) - 128) / 16;

const range = (count: number, of: (i: number) => number): number[] => Array.from({ length: count }, (_, i) => of(i));

/** What a test does to a cache of either backend. */
const edits = (addon: Addon) => ({
  append(cache: CacheId, layer: number, seed: number, count: number, ahead: number): void {
    const heads = HEADS[layer]!;
    const f32 = (shape: number[], of: (i: number) => number) => {
      const t = addon.tensor('f32', shape);
      addon.upload(
        t,
        Float32Array.from(
          range(
            shape.reduce((a, b) => a * b, 1),
            of,
          ),
        ),
      );
      return t;
    };
    const i32 = (of: (i: number) => number) => {
      const t = addon.tensor('i32', [heads, count]);
      addon.upload(t, Int32Array.from(range(heads * count, of)));
      return t;
    };
    const scope = addon.openScope();
    addon.cacheAppend(
      cache,
      layer,
      f32([heads, count, DIM], (i) => storable(seed, i)),
      f32([heads, count, DIM], (i) => storable(seed + 1, i)),
      i32((i) => seed + i),
      i32((i) => ((seed + i) % 5 === 0 ? -1 : 1 + (i % 3))),
      f32([heads, count], (i) => storable(seed + 2, i)),
      ahead,
    );
    addon.closeScope(scope);
  },
  /** Keeps every slot but each `nth`; of head 0 everything. */
  keep(cache: CacheId, layer: number, nth: number): void {
    const heads = HEADS[layer]!;
    const first = layer === 0 ? 0 : HEADS[0]!;
    const lens = addon.cacheLens(cache).subarray(first, first + heads);
    const lists = Array.from(lens, (len) => range(len, (i) => i).filter((i) => i % nth !== nth - 1));
    const most = Math.max(1, ...lists.map((list) => list.length));
    const scope = addon.openScope();
    const slots = addon.tensor('i32', [heads, most]);
    addon.upload(slots, Int32Array.from(lists.flatMap((list) => range(most, (i) => list[i] ?? -1))));
    const counts = addon.tensor('i32', [heads]);
    addon.upload(
      counts,
      Int32Array.from(lists, (list, head) => (head === 0 ? -1 : list.length)),
    );
    addon.cacheKeep(cache, layer, slots, counts);
    addon.closeScope(scope);
  },
  read(cache: CacheId): unknown {
    const scope = addon.openScope();
    const layers = HEADS.map((heads, layer) => ({
      fields: ([0, 1, 2, 3] as const).map((what) => Array.from(addon.download(addon.cacheRead(cache, layer, what)))),
      positions: range(heads, (h) => h).map((h) => Array.from(addon.cachePositions(cache, layer, h))),
    }));
    addon.closeScope(scope);
    return { lens: Array.from(addon.cacheLens(cache)), layers };
  },
});

type Edits = ReturnType<typeof edits>;
type Step = (at: { addon: Addon; edit: Edits; caches: CacheId[] }) => void;

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.nat(99), fc.nat(1), fc.nat(999), fc.integer({ min: 1, max: 150 }), fc.constantFrom(0, 0, 3, 70)).map(
    ([which, layer, seed, count, ahead]): Step =>
      ({ addon, edit, caches }) => {
        const cache = caches[which % caches.length]!;
        const first = layer === 0 ? 0 : HEADS[0]!;
        const shortest = Math.min(...addon.cacheLens(cache).subarray(first, first + HEADS[layer]!));
        edit.append(cache, layer, seed, count, Math.min(ahead, shortest));
      },
  ),
  fc.tuple(fc.nat(99), fc.nat(1), fc.integer({ min: 2, max: 5 })).map(
    ([which, layer, nth]): Step =>
      ({ edit, caches }) =>
        edit.keep(caches[which % caches.length]!, layer, nth),
  ),
  fc.tuple(fc.nat(99), fc.boolean()).map(
    ([which, shares]): Step =>
      ({ addon, caches }) => {
        if (caches.length === 5) return;
        const from = caches[which % caches.length]!;
        caches.push(shares ? addon.cacheFork(from) : addon.cacheCopy(from));
      },
  ),
  fc.nat(99).map(
    (which): Step =>
      ({ addon, caches }) => {
        if (caches.length > 1) addon.cacheFree(caches.splice(which % caches.length, 1)[0]!);
      },
  ),
  fc.constant<Step>(({ addon }) => addon.cacheTrim?.()),
  fc.tuple(fc.nat(99), fc.integer({ min: 1, max: 70 })).map(
    ([which, count]): Step =>
      ({ addon, caches }) => {
        const cache = caches[which % caches.length]!;
        if (Math.min(...addon.cacheLens(cache)) >= count) addon.cacheDropLast(cache, count);
      },
  ),
  fc.tuple(fc.nat(99), fc.nat(1), fc.nat(600)).map(
    ([which, layer, bound]): Step =>
      ({ addon, caches }) =>
        addon.cacheRelease(caches[which % caches.length]!, layer, bound),
  ),
);

describe('caches of the CUDA backend', { skip: hostSkip }, () => {
  let cuda: Addon;
  let cpu: Addon;
  before(() => {
    cuda = openHostBackend();
    cpu = loadAddon();
    cpu.configure(cpu.cpuFacts().isas[0]!, 'reference', 1);
  });

  test('hold what those of the CPU hold, whatever is appended, forked, copied, kept, dropped and given back', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 14 }), fc.boolean(), (steps, poison) => {
        const outcomes = [cuda, cpu].map((addon) => {
          addon.poisonFreedPages(poison ? 1 : 0);
          const layout = addon.cacheLayout(Int32Array.from(HEADS), Int32Array.of(DIM, DIM), Int32Array.of(DIM, DIM));
          const at = { addon, edit: edits(addon), caches: [addon.cacheCreate(layout)] };
          for (const apply of steps) apply(at);
          const held = at.caches.map(at.edit.read);
          for (const cache of at.caches) addon.cacheFree(cache);
          addon.poisonFreedPages(0);
          return held;
        });
        assert.deepEqual(outcomes[0], outcomes[1]);
      }),
      { numRuns: 300 },
    );
    assert.equal(cuda.memory().cacheBytes, 0);
  });

  test('copies share no page: the bytes are there again, and stay when the original goes', () => {
    const layout = cuda.cacheLayout(Int32Array.from(HEADS), Int32Array.of(DIM, DIM), Int32Array.of(DIM, DIM));
    const cache = cuda.cacheCreate(layout);
    const { append, read } = edits(cuda);
    append(cache, 0, 3, 200, 0);
    append(cache, 1, 4, 70, 0);
    const [held, bytes] = [read(cache), cuda.memory().cacheBytes];
    const fork = cuda.cacheFork(cache);
    assert.equal(cuda.memory().cacheBytes, bytes);
    const copy = cuda.cacheCopy(fork);
    assert.equal(cuda.memory().cacheBytes, 2 * bytes);
    cuda.cacheFree(cache);
    cuda.cacheFree(fork);
    assert.equal(cuda.memory().cacheBytes, bytes);
    assert.deepEqual(read(copy), held);
    cuda.cacheTrim!();
    assert.deepEqual(read(copy), held, 'pools with live pages keep their memory');
    cuda.cacheFree(copy);
    cuda.cacheTrim!();
    const again = cuda.cacheCreate(layout);
    append(again, 0, 3, 200, 0);
    append(again, 1, 4, 70, 0);
    assert.deepEqual(read(again), held);
    cuda.cacheFree(again);
    assert.throws(() => cuda.cacheCopy(copy), { code: 'ERR_SHAPE' });
  });

  test('a cache that never held a slot keeps none', () => {
    const layout = cuda.cacheLayout(Int32Array.of(1), Int32Array.of(24), Int32Array.of(24));
    const cache = cuda.cacheCreate(layout);
    const [slots, lens] = [cuda.tensor('i32', [1, 1, 4]), cuda.tensor('i32', [1, 1])];
    cuda.cacheKeepRows(Int32Array.of(cache), 0, slots, lens);
    assert.deepEqual(cuda.cacheLens(cache), Int32Array.of(0));
    cuda.cacheFree(cache);
  });

  test('refuse what does not fit, with both values', () => {
    const layout = cuda.cacheLayout(Int32Array.of(2), Int32Array.of(DIM), Int32Array.of(DIM));
    const cache = cuda.cacheCreate(layout);
    assert.throws(() => cuda.cacheDropLast(cache, 1), { code: 'ERR_SHAPE' });
    assert.throws(() => cuda.cacheCreate(1_000_000), { code: 'ERR_SHAPE' });
    assert.throws(() => cuda.cacheLens(cache + 1), { code: 'ERR_SHAPE' });
    assert.throws(() => cuda.cacheLayout(Int32Array.of(1), Int32Array.of(DIM), Int32Array.of(2 * DIM)), {
      code: 'ERR_UNSUPPORTED',
    });
    assert.throws(() => cuda.benchPeak('f32', 1), {
      code: 'ERR_UNSUPPORTED',
      message: /benchPeak.*cuda.*winnow_cuda_bench/,
    });
    cuda.cacheFree(cache);
  });
});
