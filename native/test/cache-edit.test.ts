/** Cache edits in closed form: what attention sees after them. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { hostSkip, openHostBackend } from '../cuda/test/host-backend.js';
import { type Addon, type CacheId, loadAddon, type TensorId } from '../index.js';
import { noise, tensorOf } from './tensors.js';

const HEADS = 2;
const DIM = 16;

const openCpu = (): Addon => {
  const addon = loadAddon();
  addon.configure(addon.cpuFacts().isas[0]!, 'reference', 2);
  return addon;
};

/** Backends, the type in which they attend, and what rounding to it costs beside values of about 1. */
const backends = [
  { name: 'cpu', act: 'f32', rounding: 2e-6, skip: false as string | false, open: openCpu },
  { name: 'cuda', act: 'bf16', rounding: 2e-2, skip: hostSkip, open: openHostBackend },
] as const;

for (const { name, act, rounding, skip, open } of backends)
  describe(`cache edits on ${name}`, { skip }, () => {
    let addon: Addon;
    let scope = 0;
    beforeEach(() => {
      addon = open();
      scope = addon.openScope();
    });
    afterEach(() => addon.closeScope(scope));

    const i32 = (shape: number[], values: readonly number[]): TensorId =>
      tensorOf(addon, 'i32', shape, Int32Array.from(values));
    const f32 = (shape: number[], values: readonly number[]): TensorId =>
      tensorOf(addon, 'f32', shape, Float32Array.from(values));
    const zeros = (count: number): number[] => new Array<number>(count).fill(0);

    /** Slot s of every head holds key and value number `kinds[s]`. */
    const cacheOf = (kinds: readonly number[]): CacheId => {
      const cache = addon.cacheCreate(addon.cacheLayout(Int32Array.of(HEADS), Int32Array.of(DIM), Int32Array.of(DIM)));
      const rows = (seed: number): number[] =>
        Array.from({ length: HEADS }, (_, h) => kinds.flatMap((kind) => [...noise(seed + 10 * kind + h, DIM)])).flat();
      const n = kinds.length;
      addon.cacheAppend(
        cache,
        0,
        f32([HEADS, n, DIM], rows(1)),
        f32([HEADS, n, DIM], rows(5)),
        i32(
          [HEADS, n],
          Array.from({ length: HEADS * n }, (_, i) => i % n),
        ),
        i32([HEADS, n], new Array<number>(HEADS * n).fill(1)),
        f32([HEADS, n], zeros(HEADS * n)),
      );
      return cache;
    };

    const attend = (cache: CacheId): Float32Array => {
      const q = tensorOf(addon, act, [1, 4 * DIM], noise(99, 4 * DIM));
      const out = addon.tensor(act, [1, 4 * DIM]);
      addon.attendDecode(q, Int32Array.of(cache), 0, 1, 0.5, 0, 0, 0, 0, 0, 0, out, 0, 0);
      return (addon.download(out) as Float32Array).slice();
    };

    const assertNear = (actual: Float32Array, expected: Float32Array, bound: number): void =>
      actual.forEach((value, i) => {
        assert.ok(Math.abs(value - expected[i]!) < bound, `${value} is not ${expected[i]} at ${i}`);
      });

    const everyHead = (list: readonly number[]): number[] => Array.from({ length: HEADS }, () => list).flat();

    const merge = (cache: CacheId, from: number[], into: number[], bias: 0 | 1): void => {
      const shape = [HEADS, from.length];
      addon.cacheMerge(
        cache,
        0,
        i32(shape, everyHead(from)),
        i32([HEADS], everyHead([from.length])),
        i32(shape, everyHead(into)),
        f32(shape, new Array<number>(HEADS * from.length).fill(1)),
        1,
        0,
        bias,
      );
    };

    const keep = (cache: CacheId, slots: number[]): void =>
      addon.cacheKeep(cache, 0, i32([HEADS, slots.length], everyHead(slots)), i32([HEADS], everyHead([slots.length])));

    test('equal slots merged with log-count bias attend exactly as each of them did', () => {
      const full = cacheOf([1, 2, 1, 3, 2, 1, 4]);
      const expected = attend(full);
      const merged = addon.cacheFork(full);
      merge(merged, [2, 4, 5], [0, 1, 0], 1);
      keep(merged, [0, 1, 3, 6]);
      assertNear(attend(merged), expected, rounding);
      assert.deepEqual([...(addon.download(addon.cacheRead(merged, 0, 3)) as Int32Array)], everyHead([3, 2, 1, 1]));
      const unbiased = addon.cacheFork(full);
      merge(unbiased, [2, 4, 5], [0, 1, 0], 0);
      keep(unbiased, [0, 1, 3, 6]);
      assert.ok(attend(unbiased).some((value, i) => Math.abs(value - expected[i]!) > Math.max(1e-3, rounding)));
    });

    test('a synthetic slot for equal slots attends exactly as all of them did, also before held slots', () => {
      const full = cacheOf([1, 1, 1, 1, 3, 4]);
      const expected = attend(full);
      const short = cacheOf([3, 4]);
      const rows = (seed: number): number[] =>
        Array.from({ length: HEADS }, (_, h) => [...noise(seed + 10 + h, DIM)]).flat();
      for (const before of [0, 1, 2]) {
        const cache = addon.cacheFork(short);
        addon.cacheAppend(
          cache,
          0,
          f32([HEADS, 1, DIM], rows(1)),
          f32([HEADS, 1, DIM], rows(5)),
          i32([HEADS, 1], zeros(HEADS)),
          i32([HEADS, 1], everyHead([4])),
          f32([HEADS, 1], everyHead([Math.log(4)])),
          before,
        );
        assertNear(attend(cache), expected, rounding);
        assert.equal(addon.cachePositions(cache, 0, 0)[2 - before], 0);
        addon.cacheFree(cache);
      }
    });

    test('one value spread over many slots adds to each its share; counts go to the first', () => {
      const cache = cacheOf([1, 2, 3]);
      const before = (addon.download(addon.cacheRead(cache, 0, 1)) as Float32Array).slice();
      addon.cacheMerge(
        cache,
        0,
        i32([HEADS, 2], everyHead([0, 0])),
        i32([HEADS], everyHead([2])),
        i32([HEADS, 2], everyHead([1, 2])),
        f32([HEADS, 2], everyHead([0.25, 0.75])),
        0,
        1,
        0,
      );
      const after = addon.download(addon.cacheRead(cache, 0, 1)) as Float32Array;
      for (let c = 0; c < DIM; c++) {
        for (const [slot, share] of [
          [1, 0.25],
          [2, 0.75],
        ] as const) {
          const sum = Math.fround(before[slot * DIM + c]! + share * before[c]!);
          if (act === 'f32') assert.equal(after[slot * DIM + c], sum);
          else assert.ok(Math.abs(after[slot * DIM + c]! - sum) <= 2 ** -8 * Math.abs(sum));
        }
      }
      assert.deepEqual([...(addon.download(addon.cacheRead(cache, 0, 3)) as Int32Array)], everyHead([0, 2, 1]));
    });

    test('keys turned by as much as the query leave attention as it was', () => {
      // Rotation keeps products when both sides turn alike: rotate the keys by 5 and compare with a query turned back by 5.
      const kinds = Array.from({ length: 70 }, (_, s) => s);
      const cache = cacheOf(kinds);
      const table: number[] = [];
      for (let p = 0; p < 8; p++)
        for (const wave of [Math.cos, Math.sin])
          for (let i = 0; i < DIM / 2; i++) table.push(wave(p * 10_000 ** ((-2 * i) / DIM)));
      const turned = addon.cacheFork(cache);
      addon.cacheRotate(
        turned,
        0,
        i32([HEADS, 70], zeros(HEADS * 70)),
        i32([HEADS], [-1, -1]),
        i32([HEADS, 70], new Array<number>(HEADS * 70).fill(5)),
        f32([8, DIM], table),
      );
      const turn = (x: Float32Array): Float32Array => {
        const out = x.slice();
        for (let head = 0; head < x.length; head += DIM) {
          for (let i = 0; i < DIM / 2; i++) {
            const [c, s] = [table[5 * DIM + i]!, table[5 * DIM + DIM / 2 + i]!];
            out[head + i] = x[head + i]! * c - x[head + i + DIM / 2]! * s;
            out[head + i + DIM / 2] = x[head + i + DIM / 2]! * c + x[head + i]! * s;
          }
        }
        return out;
      };
      const out = addon.tensor(act, [1, 4 * DIM]);
      const q = tensorOf(addon, act, [1, 4 * DIM], turn(noise(99, 4 * DIM)));
      addon.attendDecode(q, Int32Array.of(turned), 0, 1, 0.5, 0, 0, 0, 0, 0, 0, out, 0, 0);
      assertNear(addon.download(out) as Float32Array, attend(cache), Math.max(1e-5, rounding));
      assert.equal(addon.cachePositions(turned, 0, 1)[69], 74);
    });

    test('attention over thinned keys is attention with the other channels at 0, on every instruction set', () => {
      for (const isa of name === 'cpu' ? addon.cpuFacts().isas : (['scalar'] as const)) {
        for (const numerics of name === 'cpu' ? (['reference', 'native'] as const) : (['native'] as const)) {
          const type = addon.configure(isa, numerics, 2);
          const kinds = Array.from({ length: 150 }, (_, s) => s);
          const cache = cacheOf(kinds);
          const channels = [0, 1, 3, 7, 9, 15];
          const zeroed = addon.cacheCreate(
            addon.cacheLayout(Int32Array.of(HEADS), Int32Array.of(DIM), Int32Array.of(DIM)),
          );
          const keys = (addon.download(addon.cacheRead(cache, 0, 0)) as Float32Array).map((value, i) =>
            Math.floor(i / DIM) % 150 < 128 && !channels.includes(i % DIM) ? 0 : value,
          );
          addon.cacheAppend(
            zeroed,
            0,
            tensorOf(addon, 'f32', [HEADS, 150, DIM], keys),
            addon.cacheRead(cache, 0, 1),
            i32([HEADS, 150], zeros(HEADS * 150)),
            i32([HEADS, 150], new Array<number>(HEADS * 150).fill(1)),
            f32([HEADS, 150], zeros(HEADS * 150)),
          );
          const list = i32([HEADS, channels.length], everyHead(channels));
          addon.cacheKeepChannels(cache, 0, 150, list, i32([HEADS], everyHead([channels.length])));
          const q = addon.tensor(type, [1, 4 * DIM]);
          addon.upload(q, noise(99, 4 * DIM));
          const [own, expected] = [cache, zeroed].map((id) => {
            const out = addon.tensor(type, [1, 4 * DIM]);
            addon.attendDecode(q, Int32Array.of(id), 0, 1, 0.5, 0, 0, 0, 0, 0, 0, out, 0, 0);
            return (addon.download(out) as Float32Array).slice();
          });
          assert.deepEqual(own, expected, `${isa} ${numerics}`);
          addon.cacheFree(cache);
          addon.cacheFree(zeroed);
        }
      }
    });
  });
