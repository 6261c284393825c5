import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type Addon, type CacheId, loadAddon, type Numerics } from '../index.js';
import { filledCache, noise, tensorOf } from './tensors.js';

const shape = { numKvHeads: 3, headDim: 64, layers: 1 };
const heads = 9;
const width = heads * 64;

for (const numerics of ['native', 'reference'] as const satisfies readonly Numerics[]) {
  describe(`attention through the binding, ${numerics} numerics`, () => {
    let addon: Addon;
    let act: 'f32' | 'bf16' = 'f32';
    let scope = 0;
    beforeEach(() => {
      addon = loadAddon();
      act = addon.configure(addon.cpuFacts().isas[0]!, numerics, 2);
      scope = addon.openScope();
    });
    afterEach(() => addon.closeScope(scope));

    const decode = (
      caches: CacheId[],
      q: number,
      tokens: number,
      lists?: { indices: number; lens: number; scope: 1 | 2 | 3; pageSize?: number },
    ) => {
      const out = addon.tensor(act, [caches.length * tokens, width]);
      addon.attendDecode(
        q,
        Int32Array.from(caches),
        0,
        tokens,
        0.125,
        0,
        0,
        lists?.scope ?? 0,
        lists?.indices ?? 0,
        lists?.lens ?? 0,
        lists?.pageSize ?? 0,
        out,
        0,
        0,
      );
      return addon.download(out);
    };

    test('a prefill in chunks, a prefill at once and a decode step give the same bits', () => {
      const cache = filledCache(addon, shape, 700, 1);
      const all = noise(2, 200 * width);
      const whole = addon.tensor(act, [200, width]);
      addon.attendPrefill(tensorOf(addon, act, [200, width], all), cache, 0, 0.125, 0, 0, 0, whole, 0);
      const last = tensorOf(addon, act, [7, width], all.slice(193 * width));
      const chunk = addon.tensor(act, [7, width]);
      addon.attendPrefill(last, cache, 0, 0.125, 0, 0, 0, chunk, 0);
      const expected = addon.download(whole).slice(193 * width);
      assert.deepEqual(addon.download(chunk), expected);
      assert.deepEqual(decode([cache], last, 7), expected);
      assert.deepEqual(decode([cache], addon.slice(last, 6, 1), 1), expected.slice(6 * width));
      addon.cacheFree(cache);
    });

    test('a row of a batch gives the bits it gives alone', () => {
      const caches = [400, 33, 900].map((slots, i) => filledCache(addon, shape, slots, 10 + i));
      const values = noise(3, 3 * width);
      const together = decode(caches, tensorOf(addon, act, [3, width], values), 1);
      caches.forEach((cache, row) => {
        const part = [row * width, (row + 1) * width] as const;
        assert.deepEqual(
          decode([cache], tensorOf(addon, act, [1, width], values.slice(...part)), 1),
          together.slice(...part),
        );
        addon.cacheFree(cache);
      });
    });

    test('a list of every slot, every page or -1 gives the bits of no list', () => {
      const cache = filledCache(addon, shape, 300, 4);
      const q = tensorOf(addon, act, [1, width], noise(5, width));
      const dense = decode([cache], q, 1);
      const slots = tensorOf(
        addon,
        'i32',
        [1, 1, 300],
        Int32Array.from({ length: 300 }, (_, i) => i),
      );
      assert.deepEqual(
        decode([cache], q, 1, { indices: slots, lens: tensorOf(addon, 'i32', [1, 1], Int32Array.of(300)), scope: 1 }),
        dense,
      );
      assert.deepEqual(
        decode([cache], q, 1, { indices: slots, lens: tensorOf(addon, 'i32', [1, 1], Int32Array.of(-1)), scope: 1 }),
        dense,
      );
      const pages = tensorOf(
        addon,
        'i32',
        [1, 3, 19],
        Int32Array.from({ length: 57 }, (_, i) => i % 19),
      );
      assert.deepEqual(
        decode([cache], q, 1, {
          indices: pages,
          lens: tensorOf(addon, 'i32', [1, 3], Int32Array.of(19, 19, 19)),
          scope: 2,
          pageSize: 16,
        }),
        dense,
      );
      addon.cacheFree(cache);
    });

    test('a head with an empty list puts out zeros', () => {
      const cache = filledCache(addon, shape, 100, 6);
      const q = tensorOf(addon, act, [1, width], noise(7, width));
      const lists = {
        indices: tensorOf(addon, 'i32', [1, 3, 1], new Int32Array(3)),
        lens: tensorOf(addon, 'i32', [1, 3], Int32Array.of(1, 0, -1)),
        scope: 2 as const,
      };
      const out = decode([cache], q, 1, lists);
      assert.ok(out.slice(3 * 64, 6 * 64).every((x) => x === 0));
      assert.ok(out.slice(0, 3 * 64).some((x) => x !== 0) && out.slice(6 * 64).some((x) => x !== 0));
      addon.cacheFree(cache);
    });

    test('partial attentions over halves of the slots merge to the whole', () => {
      const cache = filledCache(addon, shape, 129, 8);
      const q = tensorOf(addon, act, [1, width], noise(9, width));
      const outs = addon.tensor('f32', [2, 1, heads, 64]);
      const lses = addon.tensor('f32', [2, 1, heads]);
      // A fork without the first 64 slots, and a fork of those alone: disjoint sets.
      const parts = [
        Int32Array.from({ length: 3 * 64 }, (_, i) => i % 64),
        Int32Array.from({ length: 3 * 65 }, (_, i) => 64 + (i % 65)),
      ];
      parts.forEach((slots, part) => {
        const fork = addon.cacheFork(cache);
        const count = slots.length / 3;
        addon.cacheKeep(
          fork,
          0,
          tensorOf(addon, 'i32', [3, count], slots),
          tensorOf(addon, 'i32', [3], new Int32Array(3).fill(count)),
        );
        const out = addon.tensor(act, [1, width]);
        const lse = addon.tensor('f32', [1, heads]);
        addon.attendDecode(q, Int32Array.of(fork), 0, 1, 0.125, 0, 0, 0, 0, 0, 0, out, lse, 0);
        addon.copyRows(addon.reshape(out, [1, 1, heads, 64]), 0, outs, part, 1);
        addon.copyRows(addon.reshape(lse, [1, 1, heads]), 0, lses, part, 1);
        addon.cacheFree(fork);
      });
      const merged = addon.tensor('f32', [1, heads, 64]);
      addon.mergeLse(outs, lses, merged, addon.tensor('f32', [1, heads]));
      const whole = decode([cache], q, 1);
      const bound = act === 'bf16' ? 4e-3 : 1e-6;
      const values = addon.download(merged);
      for (const [i, x] of whole.entries()) {
        assert.ok(Math.abs(values[i]! - x) < bound, `${values[i]} at ${i}, expected ${x}`);
      }
      addon.cacheFree(cache);
    });

    test('the probabilities of a step are 0 where nothing was read and sum to 1', () => {
      const cache = filledCache(addon, shape, 100, 11);
      const q = tensorOf(addon, act, [1, width], noise(12, width));
      const probs = addon.tensor('f32', [1, heads, 120]);
      const lists = [
        tensorOf(addon, 'i32', [1, 1, 3], Int32Array.of(4, 40, 41)),
        tensorOf(addon, 'i32', [1, 1], Int32Array.of(3)),
      ] as const;
      addon.attendDecode(
        q,
        Int32Array.of(cache),
        0,
        1,
        0.125,
        0,
        0,
        1,
        ...lists,
        0,
        addon.tensor(act, [1, width]),
        0,
        probs,
      );
      const values = addon.download(probs).slice(0, 120) as Float32Array;
      const read = [...values.keys()].filter((slot) => values[slot]! > 0);
      assert.deepEqual(read, [4, 40, 41, 99]);
      assert.ok(Math.abs(read.reduce((sum, slot) => sum + values[slot]!, 0) - 1) < 1e-5);
      assert.ok(values.slice(100).every((x) => x === -Infinity));
      addon.cacheFree(cache);
    });

    test('arguments that do not fit are refused with both values', () => {
      const cache = filledCache(addon, shape, 20, 13);
      const q = tensorOf(addon, act, [1, width], noise(14, width));
      const out = addon.tensor(act, [1, width]);
      const run = (indices: number, lens: number, pageSize = 0) =>
        addon.attendDecode(q, Int32Array.of(cache), 0, 1, 0.125, 0, 0, 1, indices, lens, pageSize, out, 0, 0);
      const list = (...values: number[]) => tensorOf(addon, 'i32', [1, 1, values.length], Int32Array.from(values));
      const len = (value: number) => tensorOf(addon, 'i32', [1, 1], Int32Array.of(value));
      assert.throws(() => run(list(20), len(1)), /ERR_SHAPE.*below 20.*got "20 at 0"/);
      assert.throws(() => run(list(-1), len(1)), /ERR_SHAPE/);
      assert.throws(() => run(list(3, 3), len(2)), /ERR_SHAPE.*ascending/);
      assert.throws(() => run(list(1), len(2)), /ERR_SHAPE.*-1 to 1/);
      assert.throws(() => run(list(2), len(1), 16), /ERR_SHAPE.*below 2/);
      assert.throws(
        () =>
          addon.attendPrefill(
            tensorOf(addon, act, [21, width], noise(1, 21 * width)),
            cache,
            0,
            1,
            0,
            0,
            0,
            addon.tensor(act, [21, width]),
            0,
          ),
        /at least 21 slots/,
      );
      assert.throws(() => addon.attendPrefill(q, cache, 0, Number.NaN, 0, 0, 0, out, 0), /ERR_SHAPE.*finite/);
      addon.cacheFree(cache);
    });
  });
}

describe('attention in reference numerics', () => {
  test('every instruction set and thread count gives the same bytes', () => {
    const addon = loadAddon();
    const hashes = new Set<string>();
    for (const isa of addon.cpuFacts().isas) {
      for (const threads of [1, 2]) {
        addon.configure(isa, 'reference', threads);
        const scope = addon.openScope();
        const cache = filledCache(addon, shape, 150, 20);
        const out = addon.tensor('f32', [40, width]);
        addon.attendPrefill(
          tensorOf(addon, 'f32', [40, width], noise(21, 40 * width)),
          cache,
          0,
          0.125,
          0,
          0,
          0,
          out,
          0,
        );
        hashes.add(Buffer.from((addon.download(out) as Float32Array).buffer).toString('base64'));
        addon.cacheFree(cache);
        addon.closeScope(scope);
      }
    }
    assert.equal(hashes.size, 1);
  });
});
