import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type Addon, loadAddon } from '../index.js';
import { filledCache, noise, tensorOf } from './tensors.js';

const shape = { numKvHeads: 2, headDim: 16, layers: 1 };
const heads = 4;
const maxPositions = 64;
const ropeDims = 16;

const table = Float32Array.from({ length: maxPositions * ropeDims }, (_, i) => {
  const angle = Math.floor(i / ropeDims) / 10000 ** ((2 * (i % (ropeDims / 2))) / ropeDims);
  return i % ropeDims < ropeDims / 2 ? Math.cos(angle) : Math.sin(angle);
});

/** Pairs (i, i + 8) of a head turned by its position. */
const rotated = (x: Float32Array, position: number): number[] => {
  const half = ropeDims / 2;
  return Array.from({ length: ropeDims }, (_, i) => {
    const k = i % half;
    const cos = table[position * ropeDims + k]!;
    const sin = table[position * ropeDims + half + k]!;
    return i < half ? x[k]! * cos - x[k + half]! * sin : x[k + half]! * cos + x[k]! * sin;
  });
};

const near = (actual: ArrayLike<number>, expected: ArrayLike<number>, bound: number): void => {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++) {
    assert.ok(Math.abs(actual[i]! - expected[i]!) <= bound, `${actual[i]} at ${i}, expected ${expected[i]}`);
  }
};

for (const numerics of ['native', 'reference'] as const) {
  describe(`ropeAppend, ${numerics} numerics`, () => {
    let addon: Addon;
    let act: 'f32' | 'bf16' = 'f32';
    let scope = 0;
    beforeEach(() => {
      addon = loadAddon();
      act = addon.configure(addon.cpuFacts().isas[0]!, numerics, 2);
      scope = addon.openScope();
    });
    afterEach(() => addon.closeScope(scope));

    for (const preRope of [0, 1] as const) {
      test(`rotates queries and ${preRope === 1 ? 'stores keys as they came' : 'keys'}, row by row`, () => {
        // 63 slots: the first new one fills a page, the others open the next.
        const caches = [filledCache(addon, shape, 63, 1), filledCache(addon, shape, 10, 2)];
        const tokens = 3;
        const width = (heads + 4) * 16;
        const qkv = noise(3, 2 * tokens * width);
        const positions = Int32Array.of(7, 8, 9, 20, 0, 63);
        const q = addon.tensor(act, [6, heads * 16]);
        addon.ropeAppend(
          tensorOf(addon, 'f32', [6, width], qkv),
          tensorOf(addon, 'i32', [6], positions),
          tensorOf(addon, 'f32', [maxPositions, ropeDims], table),
          heads,
          Int32Array.from(caches),
          0,
          preRope,
          0,
          0,
          1e-5,
          q,
        );
        const bound = act === 'bf16' ? 8e-3 : 1e-6;
        const queries = addon.download(q) as Float32Array;
        const part = (token: number, head: number) =>
          qkv.slice(token * width + head * 16, token * width + head * 16 + 16);
        for (let token = 0; token < 6; token++) {
          for (let head = 0; head < heads; head++) {
            const at = (token * heads + head) * 16;
            near(queries.slice(at, at + 16), rotated(part(token, head), positions[token]!), bound);
          }
        }
        caches.forEach((cache, row) => {
          const before = row === 0 ? 63 : 10;
          assert.deepEqual([...addon.cacheLens(cache)], [before + 3, before + 3]);
          const keys = addon.download(addon.cacheRead(cache, 0, 0)) as Float32Array;
          const values = addon.download(addon.cacheRead(cache, 0, 1)) as Float32Array;
          for (let head = 0; head < 2; head++) {
            assert.deepEqual(
              [...addon.cachePositions(cache, 0, head).slice(before)],
              [...positions.slice(row * 3, row * 3 + 3)],
            );
            for (let t = 0; t < 3; t++) {
              const token = row * 3 + t;
              const at = (head * (before + 3) + before + t) * 16;
              const key = part(token, heads + head);
              near(keys.slice(at, at + 16), preRope === 1 ? key : rotated(key, positions[token]!), bound);
              near(values.slice(at, at + 16), part(token, heads + 2 + head), bound);
            }
          }
          addon.cacheFree(cache);
        });
      });
    }

    test('a position beyond the table or the same cache twice changes nothing', () => {
      const cache = filledCache(addon, shape, 5, 4);
      const hash = addon.cacheHash(cache);
      const run = (position: number, caches: number[]) =>
        addon.ropeAppend(
          addon.tensor('f32', [caches.length, 8 * 16]),
          tensorOf(addon, 'i32', [caches.length], new Int32Array(caches.length).fill(position)),
          tensorOf(addon, 'f32', [maxPositions, ropeDims], table),
          heads,
          Int32Array.from(caches),
          0,
          0,
          0,
          0,
          1e-5,
          addon.tensor(act, [caches.length, heads * 16]),
        );
      assert.throws(() => run(64, [cache]), /ERR_SHAPE.*positions/);
      assert.throws(() => run(1, [cache, cache]), /ERR_SHAPE.*each cache once/);
      assert.equal(addon.cacheHash(cache), hash);
      addon.cacheFree(cache);
    });
  });
}
