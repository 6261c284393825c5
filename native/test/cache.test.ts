import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type Addon, loadAddon } from '../index.js';
import { appendNoise, filledCache, noise, tensorOf } from './tensors.js';

const shape = { numKvHeads: 2, headDim: 16, layers: 2 };

describe('the KV cache through the binding', () => {
  let addon: Addon;
  let scope = 0;
  beforeEach(() => {
    addon = loadAddon();
    addon.configure(addon.cpuFacts().isas[0]!, 'reference', 2);
    scope = addon.openScope();
  });
  afterEach(() => addon.closeScope(scope));

  test('a fork that grows, is cut and is quantised leaves its parent as it was', () => {
    const cache = filledCache(addon, shape, 100, 1);
    const hash = addon.cacheHash(cache);
    const fork = addon.cacheFork(cache);
    assert.equal(addon.cacheHash(fork), hash);
    appendNoise(addon, fork, shape, 0, 3, 9);
    addon.cacheDropLast(fork, 0);
    addon.cacheKeep(
      fork,
      1,
      tensorOf(addon, 'i32', [2, 2], Int32Array.of(0, 99, 3, 4)),
      tensorOf(addon, 'i32', [2], Int32Array.of(2, 1)),
    );
    addon.cacheQuantise(fork, 0, 0, 100, 4, 32, 0);
    assert.deepEqual([...addon.cacheLens(fork)], [103, 103, 2, 1]);
    assert.deepEqual([...addon.cacheLens(cache)], [100, 100, 100, 100]);
    assert.equal(addon.cacheHash(cache), hash);
    assert.deepEqual([...addon.cachePositions(fork, 1, 0)], [0, 99]);
    addon.cacheFree(fork);
    addon.cacheFree(cache);
  });

  test('a copy is equal, shares no page, and costs the bytes again, packed pages theirs', () => {
    const cache = filledCache(addon, shape, 200, 1);
    addon.cacheQuantise(cache, 0, 0, 128, 4, 32, 0);
    addon.cacheRelease(cache, 1, 64);
    const [hash, before] = [addon.cacheHash(cache), addon.memory().cacheBytes];
    const fork = addon.cacheFork(cache);
    assert.equal(addon.memory().cacheBytes, before);
    const copy = addon.cacheCopy(fork);
    const both = addon.memory().cacheBytes;
    assert.ok(both > 1.5 * before && both < 2 * before, 'pages that were given back hold nothing to copy');
    assert.equal(addon.cacheBytes(copy), addon.cacheBytes(cache));
    for (const id of [cache, fork]) addon.cacheFree(id);
    assert.equal(addon.memory().cacheBytes, before);
    assert.equal(addon.cacheHash(copy), hash);
    addon.cacheFree(copy);
    assert.throws(() => addon.cacheCopy(copy), { code: 'ERR_SHAPE' });
  });

  test('pages behind a sliding window are given back, and attention with the window never notices', () => {
    const cache = filledCache(addon, shape, 300, 5);
    const q = tensorOf(addon, 'f32', [1, 64], noise(2, 64));
    const attend = (id: number, window: number): Float32Array => {
      const out = addon.tensor('f32', [1, 64]);
      addon.attendDecode(q, Int32Array.of(id), 0, 1, 0.25, 0, window, 0, 0, 0, 0, out, 0, 0);
      return (addon.download(out) as Float32Array).slice();
    };
    const slotBytes = 2 * 16 * 4;
    const [bytes, live, seen] = [addon.cacheBytes(cache), addon.memory().cacheBytes, attend(cache, 100)];
    const fork = addon.cacheFork(cache);
    const hash = addon.cacheHash(fork);
    // Slot 200 is the first in sight; pages end at 63, 127 and 191.
    addon.cacheRelease(cache, 0, 192);
    assert.deepEqual(attend(cache, 100), seen);
    assert.equal(addon.cacheBytes(cache), bytes - 2 * 192 * slotBytes);
    assert.deepEqual([...addon.cacheLens(cache)], [300, 300, 300, 300]);
    assert.equal(addon.cacheHash(fork), hash);
    addon.cacheRelease(cache, 0, 191);
    addon.cacheRelease(cache, 0, -5);
    assert.equal(addon.cacheBytes(cache), bytes - 2 * 192 * slotBytes);
    addon.cacheFree(fork);
    assert.ok(addon.memory().cacheBytes < live - 2 * 192 * slotBytes + 8192);
    // Edits of what is no longer there change nothing that others share.
    const again = addon.cacheFork(cache);
    addon.cacheQuantise(cache, 0, 0, 300, 4, 32, 0);
    addon.cacheKeep(
      cache,
      0,
      tensorOf(addon, 'i32', [2, 3], Int32Array.of(5, 70, 299, 0, 198, 299)),
      tensorOf(addon, 'i32', [2], Int32Array.of(3, 3)),
    );
    assert.deepEqual([...addon.cachePositions(cache, 0, 0)], [0, 0, 299]);
    assert.deepEqual([...addon.cachePositions(cache, 0, 1)], [0, 198, 299]);
    assert.deepEqual(attend(again, 100), seen);
    addon.cacheFree(again);
    addon.cacheFree(cache);
  });

  test('a head that is cut back into what was given back takes new slots in a page of its own', () => {
    const cache = filledCache(addon, shape, 150, 5);
    addon.cacheRelease(cache, 0, 64);
    addon.cacheDropLast(cache, 110);
    appendNoise(addon, cache, shape, 0, 2, 9);
    const other = filledCache(addon, shape, 150, 6);
    addon.cacheRelease(other, 0, 128);
    const keys = addon.download(addon.cacheRead(cache, 0, 0));
    assert.ok(keys.subarray(0, 40 * 16).every((x) => x === 0));
    assert.ok(keys.subarray(40 * 16, 42 * 16).some((x) => x !== 0));
    assert.notDeepEqual(keys.slice(40 * 16, 42 * 16), keys.slice(82 * 16, 84 * 16), 'heads share no page');
    assert.ok(
      addon
        .download(addon.cacheRead(other, 0, 0))
        .subarray(0, 128 * 16)
        .every((x) => x === 0),
    );
    addon.cacheFree(other);
    addon.cacheFree(cache);
  });

  test('keeping slots of several rows in one call is keeping them one by one', () => {
    const lists = [
      [0, 1, 2, 64, 65, 99, 7, 8, 9, 10, 11, 12],
      [1, 2, 3, 4, 5, 6, 0, 63, 64, 66, 98, 99],
    ];
    const [alone, together] = [0, 1].map(() => lists.map((_, row) => filledCache(addon, shape, 100, row)));
    const lens = [
      [6, -1],
      [0, 6],
    ];
    const ids = (values: number[]) => tensorOf(addon, 'i32', [2, 6], Int32Array.from(values));
    lists.forEach((list, row) => {
      addon.cacheKeep(alone![row]!, 1, ids(list), tensorOf(addon, 'i32', [2], Int32Array.from(lens[row]!)));
    });
    const all = tensorOf(addon, 'i32', [2, 2, 6], Int32Array.from(lists.flat()));
    addon.cacheKeepRows(
      Int32Array.from(together!),
      1,
      all,
      tensorOf(addon, 'i32', [2, 2], Int32Array.from(lens.flat())),
    );
    together!.forEach((cache, row) => {
      assert.equal(addon.cacheHash(cache), addon.cacheHash(alone![row]!));
    });
    for (const cache of [...alone!, ...together!]) addon.cacheFree(cache);
  });

  test('freeing the last cache gives every byte back', () => {
    const before = addon.memory().cacheBytes;
    const cache = filledCache(addon, shape, 300, 2);
    const forks = [1, 2, 3].map(() => addon.cacheFork(cache));
    const shared = addon.memory().cacheBytes;
    assert.ok(shared > before);
    for (const fork of forks) addon.cacheFree(fork);
    assert.equal(addon.memory().cacheBytes, shared);
    addon.cacheFree(cache);
    assert.equal(addon.memory().cacheBytes, before);
  });

  test('bytes follow the formula before and after quantisation', () => {
    const cache = filledCache(addon, shape, 130, 3);
    const slotBytes = 2 * 16 * 4;
    assert.equal(addon.cacheBytes(cache), 2 * 2 * 130 * slotBytes);
    assert.deepEqual([...addon.cacheReadBytes(cache, 0)], [130 * slotBytes, 130 * slotBytes]);
    addon.cacheQuantise(cache, 0, 1, 130, 2, 16, 1);
    // Two whole pages of values: 2 bits a value, one f16 scale and minimum per slot (16 channels are one group).
    const quantised = 128 * (16 / 4 + 4) + 2 * 16 * 4 + 130 * 16 * 4;
    assert.deepEqual([...addon.cacheReadBytes(cache, 0)], [quantised, quantised]);
    addon.cacheFree(cache);
  });

  test('cacheRead gives back what was appended, ragged heads padded with zeros', () => {
    const cache = filledCache(addon, shape, 5, 4);
    const keys = noise(4, 2 * 5 * 16);
    assert.deepEqual(addon.download(addon.cacheRead(cache, 0, 0)), keys);
    addon.cacheKeep(
      cache,
      0,
      tensorOf(addon, 'i32', [2, 1], Int32Array.of(0, 2)),
      tensorOf(addon, 'i32', [2], Int32Array.of(-1, 1)),
    );
    const read = addon.cacheRead(cache, 0, 0);
    assert.deepEqual(addon.shape(read), [2, 5, 16]);
    const values = addon.download(read) as Float32Array;
    assert.deepEqual(values.slice(80, 96), keys.slice(80 + 32, 80 + 48));
    assert.ok(values.slice(96).every((x) => x === 0));
    addon.cacheFree(cache);
  });

  test('quantised reads equal the round trip of the same pages', () => {
    const cache = filledCache(addon, { ...shape, layers: 1 }, 64, 5);
    const before = addon.download(addon.cacheRead(cache, 0, 0)) as Float32Array;
    addon.cacheQuantise(cache, 0, 0, 64, 4, 32, 0);
    const after = addon.download(addon.cacheRead(cache, 0, 0)) as Float32Array;
    const roundTrip = addon.download(addon.quantiseRoundTrip(tensorOf(addon, 'f32', [128, 16], before), 4, 32, 0));
    assert.deepEqual(after, roundTrip);
    addon.cacheFree(cache);
  });

  const refused: readonly (readonly [string, (cache: number) => unknown, RegExp])[] = [
    ['a freed cache', () => addon.cacheLens(987654), /ERR_SHAPE.*live cache/],
    ['a layer that does not exist', (cache) => addon.cacheRead(cache, 2, 0), /ERR_SHAPE.*layer/],
    ['dropping more slots than there are', (cache) => addon.cacheDropLast(cache, 11), /ERR_SHAPE.*at most 10/],
    ['three bits', (cache) => addon.cacheQuantise(cache, 0, 0, 64, 3, 32, 0), /ERR_SHAPE.*bits/],
    [
      'a group that does not divide a page',
      (cache) => addon.cacheQuantise(cache, 0, 0, 64, 4, 24, 0),
      /ERR_SHAPE.*group/,
    ],
    [
      'slots out of order',
      (cache) =>
        addon.cacheKeep(
          cache,
          0,
          tensorOf(addon, 'i32', [2, 2], Int32Array.of(1, 0, 0, 1)),
          tensorOf(addon, 'i32', [2], Int32Array.of(2, 2)),
        ),
      /ERR_SHAPE.*ascending/,
    ],
    [
      'lists for another number of heads',
      (cache) =>
        addon.cacheKeep(
          cache,
          0,
          tensorOf(addon, 'i32', [3, 1], new Int32Array(3)),
          tensorOf(addon, 'i32', [3], new Int32Array(3)),
        ),
      /ERR_SHAPE/,
    ],
    [
      'a head dim of 12',
      () => addon.cacheLayout(Int32Array.of(1), Int32Array.of(12), Int32Array.of(16)),
      /ERR_SHAPE.*multiple of 8/,
    ],
  ];
  for (const [name, attempt, pattern] of refused) {
    test(`${name}: one error with both values, and nothing changes`, () => {
      const cache = filledCache(addon, shape, 10, 6);
      const hash = addon.cacheHash(cache);
      assert.throws(() => attempt(cache), pattern);
      assert.equal(addon.cacheHash(cache), hash);
      addon.cacheFree(cache);
    });
  }
});
