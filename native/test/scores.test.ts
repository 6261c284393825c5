import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type Addon, loadAddon } from '../index.js';
import { filledCache, noise, tensorOf } from './tensors.js';

const shape = { numKvHeads: 2, headDim: 16, layers: 1 };

describe('score ops through the binding', () => {
  let addon: Addon;
  let scope = 0;
  beforeEach(() => {
    addon = loadAddon();
    addon.configure(addon.cpuFacts().isas[0]!, 'reference', 2);
    scope = addon.openScope();
  });
  afterEach(() => addon.closeScope(scope));

  const top = (scores: number[][], counts: number[], first = 0, last = 0, flatten: 0 | 1 | 2 = 0) => {
    const lists = scores.length;
    const length = scores[0]!.length;
    const budget = tensorOf(addon, 'i32', flatten === 0 ? [1, lists] : [1], Int32Array.from(counts));
    const [indices, lens] = addon.topK(
      tensorOf(addon, 'f32', [1, lists, length], Float32Array.from(scores.flat())),
      budget,
      first,
      last,
      flatten,
    );
    const values = addon.download(indices) as Int32Array;
    const width = addon.shape(indices)[2]!;
    return [...(addon.download(lens) as Int32Array)].map((len, list) => [
      ...values.slice(list * width, list * width + len),
    ]);
  };

  test('topK sends ties to the lower index and never takes a missing entry', () => {
    assert.deepEqual(top([[1, 2, 2, 2, 0]], [2]), [[1, 2]]);
    assert.deepEqual(top([[-Infinity, 3, -Infinity]], [3]), [[1]]);
    assert.deepEqual(top([[0, -0, 0]], [2]), [[0, 1]]);
  });

  test('topK takes protected entries first and counts them', () => {
    assert.deepEqual(top([[0, 0, 9, 8, 7, 0, -Infinity]], [3], 1, 1), [[0, 2, 5]]);
    assert.deepEqual(top([[5, 5, 5, 5]], [1], 2, 2), [[0]]);
  });

  test('topK with one budget over all lists prefers the lower list at a tie', () => {
    assert.deepEqual(
      top(
        [
          [1, 5, 1],
          [5, 1, 5],
        ],
        [2],
        0,
        0,
        1,
      ),
      [[1], [0]],
    );
    assert.deepEqual(
      top(
        [
          [1, 5, 1],
          [5, 1, 6],
        ],
        [3],
        0,
        0,
        2,
      ),
      [[1], [0, 2]],
    );
  });

  test('window scores of one query are its probabilities', () => {
    const cache = filledCache(addon, shape, 50, 1);
    const q = tensorOf(addon, 'f32', [1, 64], noise(2, 64));
    const probs = addon.tensor('f32', [1, 4, 50]);
    addon.attendDecode(q, Int32Array.of(cache), 0, 1, 0.25, 0, 0, 0, 0, 0, 0, addon.tensor('f32', [1, 64]), 0, probs);
    const scores = addon.windowScores(addon.reshape(q, [1, 1, 64]), Int32Array.of(cache), 0, 0.25, 0, 0, 0, 0, 0, 0);
    assert.deepEqual(addon.download(scores), addon.download(probs));
    addon.cacheFree(cache);
  });

  test('soft cap and sliding window are those of attention', () => {
    const cache = filledCache(addon, shape, 50, 1);
    const q = tensorOf(addon, 'f32', [1, 64], noise(2, 64));
    const probs = addon.tensor('f32', [1, 4, 50]);
    const plain = addon.windowScores(addon.reshape(q, [1, 1, 64]), Int32Array.of(cache), 0, 2, 0, 0, 0, 0, 1, 0);
    addon.attendDecode(q, Int32Array.of(cache), 0, 1, 2, 0.5, 20, 0, 0, 0, 0, addon.tensor('f32', [1, 64]), 0, probs);
    const scores = addon.windowScores(addon.reshape(q, [1, 1, 64]), Int32Array.of(cache), 0, 2, 0.5, 20, 0, 0, 1, 0);
    const own = addon.download(scores) as Float32Array;
    const wanted = addon.download(probs) as Float32Array;
    own.forEach((p, i) => {
      assert.ok(Math.abs(p - wanted[i]!) < 1e-6, `${i}: ${p} is not ${wanted[i]}`);
    });
    assert.notDeepEqual(own, addon.download(plain));
    addon.cacheFree(cache);
  });

  test('ragged heads are padded with -inf in every score', () => {
    const cache = filledCache(addon, shape, 20, 3);
    addon.cacheKeep(
      cache,
      0,
      tensorOf(addon, 'i32', [2, 4], Int32Array.of(0, 1, 2, 3, 0, 1, 2, 3)),
      tensorOf(addon, 'i32', [2], Int32Array.of(-1, 4)),
    );
    const q = tensorOf(addon, 'f32', [1, 2, 64], noise(4, 128));
    for (const scores of [
      addon.slotNorms(Int32Array.of(cache), 0, 0),
      addon.windowScores(q, Int32Array.of(cache), 0, 0.25, 0, 0, 0, 1, 3, 1),
    ]) {
      assert.deepEqual(addon.shape(scores), [1, 2, 20]);
      const values = addon.download(scores);
      assert.ok(values.slice(0, 24).every((x) => x > 0 && Number.isFinite(x)));
      assert.ok(values.slice(24).every((x) => x === -Infinity));
    }
    addon.cacheFree(cache);
  });

  test('a page bound is never below the best dot product in the page', () => {
    const cache = filledCache(addon, shape, 64, 5);
    const query = noise(6, 64);
    const q = tensorOf(addon, 'f32', [1, 64], query);
    const summary = addon.blockSummary(Int32Array.of(cache), 0, 16, 0, 0);
    const bounds = addon.download(addon.blockScores(q, summary, 4, 0));
    const keys = addon.download(addon.cacheRead(cache, 0, 0));
    for (let head = 0; head < 4; head++) {
      for (let slot = 0; slot < 64; slot++) {
        let dot = 0;
        for (let c = 0; c < 16; c++) dot += query[head * 16 + c]! * keys[((head >> 1) * 64 + slot) * 16 + c]!;
        assert.ok(dot <= bounds[head * 4 + (slot >> 4)]! + 1e-5);
      }
    }
    addon.cacheFree(cache);
  });

  test('a summary brought up to date equals a fresh one', () => {
    const cache = filledCache(addon, shape, 40, 7);
    const room = addon.tensor('f32', [1, 2, 4, 2, 16]);
    addon.blockSummary(Int32Array.of(cache), 0, 16, 0, room);
    addon.cacheDropLast(cache, 10);
    const renewed = addon.download(addon.blockSummary(Int32Array.of(cache), 0, 16, 1, room));
    const fresh = addon.download(
      addon.blockSummary(Int32Array.of(cache), 0, 16, 0, addon.tensor('f32', [1, 2, 4, 2, 16])),
    );
    assert.deepEqual(renewed, fresh);
    const bounds = addon.download(addon.blockScores(tensorOf(addon, 'f32', [1, 64], noise(8, 64)), room, 4, 1));
    assert.ok(Number.isFinite(bounds[1]!) && bounds[2] === -Infinity && bounds[3] === -Infinity);
    addon.cacheFree(cache);
  });

  test('random scores are equal for every row and differ by seed, layer and head', () => {
    const draw = (seed: number, layer: number) => addon.download(addon.randomScores(2, 2, 8, seed, layer));
    const first = draw(1, 0);
    assert.deepEqual(first.slice(0, 16), first.slice(16));
    assert.notDeepEqual(first.slice(0, 8), first.slice(8, 16));
    assert.notDeepEqual(first, draw(2, 0));
    assert.notDeepEqual(first, draw(1, 1));
    assert.deepEqual(first, draw(1, 0));
    assert.ok(first.every((x) => x >= 0 && x < 1));
  });

  test('a missing slot stays missing in sums', () => {
    const x = tensorOf(addon, 'f32', [3], Float32Array.of(1, -Infinity, 2));
    const y = tensorOf(addon, 'f32', [3], Float32Array.of(10, 20, -Infinity));
    assert.deepEqual([...addon.download(addon.axpby(x, -2, y, 0))], [-2, -Infinity, -Infinity]);
    assert.deepEqual([...addon.download(addon.axpby(x, 3, 0, 0))], [3, -Infinity, 6]);
  });

  test('arguments that do not fit are refused', () => {
    const cache = filledCache(addon, shape, 10, 9);
    const q = tensorOf(addon, 'f32', [1, 11, 64], noise(1, 11 * 64));
    assert.throws(
      () => addon.windowScores(q, Int32Array.of(cache), 0, 1, 0, 0, 0, 0, 0, 0),
      /ERR_SHAPE.*1 to 10 queries/,
    );
    assert.throws(
      () =>
        addon.windowScores(
          addon.reshape(addon.slice(q, 0, 1), [1, 11, 64]),
          Int32Array.of(cache),
          0,
          1,
          0,
          0,
          0,
          1,
          4,
          0,
        ),
      /ERR_SHAPE/,
    );
    assert.throws(
      () => addon.windowScores(addon.tensor('f32', [1, 2, 48]), Int32Array.of(cache), 0, 1, 0, 0, 0, 0, 0, 0),
      /ERR_SHAPE.*multiple of 2/,
    );
    assert.throws(() => addon.windowScores(q, new Int32Array(0), 0, 1, 0, 0, 0, 0, 0, 0), /at least one cache/);
    assert.throws(() => addon.quantiseRoundTrip(addon.tensor('f32', [10, 16]), 4, 32, 0), /ERR_SHAPE.*divisor of 10/);
    addon.cacheFree(cache);
  });
});
