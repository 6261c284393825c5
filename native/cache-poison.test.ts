import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadAddon } from './index.js';

const HEADS = 2;
const DIM = 8;
const SLOTS = 150;

/** A cache of one layer whose keys count upwards, in reference numerics. */
const filled = () => {
  const addon = loadAddon();
  addon.configure('scalar', 'reference', 1);
  const layout = addon.cacheLayout(Int32Array.of(HEADS), Int32Array.of(DIM), Int32Array.of(DIM));
  const cache = addon.cacheCreate(layout);
  const plane = (dtype: 'f32' | 'i32', shape: number[], data: Float32Array | Int32Array): number => {
    const tensor = addon.tensor(dtype, shape);
    addon.upload(tensor, data);
    return tensor;
  };
  const numbers = Float32Array.from({ length: HEADS * SLOTS * DIM }, (_, i) => i);
  const keys = plane('f32', [HEADS, SLOTS, DIM], numbers);
  const whole = (value: number): number => plane('i32', [HEADS, SLOTS], new Int32Array(HEADS * SLOTS).fill(value));
  addon.cacheAppend(
    cache,
    0,
    keys,
    keys,
    whole(0),
    whole(1),
    plane('f32', [HEADS, SLOTS], new Float32Array(HEADS * SLOTS)),
  );
  const poison = (target: number, lists: readonly (readonly number[])[]): void => {
    const width = Math.max(...lists.map((list) => list.length), 1);
    const values = Int32Array.from(lists.flatMap((list) => Array.from({ length: width }, (_, i) => list[i] ?? -1)));
    addon.cachePoison(
      target,
      0,
      plane('i32', [HEADS, width], values),
      plane(
        'i32',
        [HEADS],
        Int32Array.from(lists, (list) => list.length),
      ),
    );
  };
  const read = (target: number, what: 0 | 1): Float32Array =>
    addon.download(addon.cacheRead(target, 0, what)) as Float32Array;
  return { addon, cache, numbers, poison, read };
};

test('poison turns every slot that is not listed into NaN, and no other', () => {
  const { addon, cache, numbers, poison, read } = filled();
  const lists = [
    [0, 63, 64, 127],
    [5, 149],
  ];
  poison(cache, lists);
  for (const what of [0, 1] as const) {
    read(cache, what).forEach((value, i) => {
      const [head, slot] = [Math.floor(i / (SLOTS * DIM)), Math.floor(i / DIM) % SLOTS];
      if (lists[head]!.includes(slot)) assert.equal(value, numbers[i]);
      else assert.ok(Number.isNaN(value), `slot ${slot} of head ${head} is ${value}`);
    });
  }
  addon.cacheFree(cache);
});

test('poisoning a fork leaves its origin alone', () => {
  const { addon, cache, poison } = filled();
  const before = addon.cacheHash(cache);
  const fork = addon.cacheFork(cache);
  poison(fork, [[3], []]);
  assert.equal(addon.cacheHash(cache), before);
  assert.notEqual(addon.cacheHash(fork), before);
  addon.cacheFree(fork);
  addon.cacheFree(cache);
});

test('packed slots that are listed read as before, and bad lists are refused', () => {
  const { addon, cache, poison, read } = filled();
  addon.cacheQuantise(cache, 0, 0, 128, 4, 32, 0);
  const packed = read(cache, 0).slice();
  poison(cache, [[1, 70], [2]]);
  const poisoned = read(cache, 0);
  for (const [head, slot] of [
    [0, 1],
    [0, 70],
    [1, 2],
  ] as const) {
    const at = (head * SLOTS + slot) * DIM;
    assert.deepEqual(poisoned.subarray(at, at + DIM), packed.subarray(at, at + DIM));
  }
  assert.ok(Number.isNaN(poisoned[0]));
  assert.throws(() => poison(cache, [[4, 4], []]), { code: 'ERR_SHAPE', message: /cachePoison/ });
  addon.cacheFree(cache);
});

test('freed pages come back clean while freed memory is poisoned', () => {
  const { addon, cache } = filled();
  addon.poisonFreedPages(1);
  addon.cacheFree(cache);
  const again = filled();
  addon.poisonFreedPages(0);
  assert.deepEqual(again.read(again.cache, 0), again.numbers);
  again.addon.cacheFree(again.cache);
});
