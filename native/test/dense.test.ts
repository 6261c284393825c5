import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { WinnowError } from '../../core/errors.js';
import { type Addon, type Isa, loadAddon, type WeightSource } from '../index.js';

const source = (rows: number, cols: number, values: Float32Array): WeightSource => ({
  bytes: new Uint8Array(values.buffer),
  byteOffset: 0,
  type: 'F32',
  rows,
  cols,
  interleavedHeads: 0,
});

/** The same numbers in any process, in [-1, 1). */
const noise = (count: number, seed: number): Float32Array => {
  const values = new Float32Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    values[i] = state / 2 ** 31;
  }
  return values;
};

const code = (expected: string) => (error: unknown) => error instanceof WinnowError && error.code === expected;

describe('dense ops through the binding', () => {
  let addon: Addon;
  let isas: Isa[];
  before(() => {
    addon = loadAddon();
    isas = addon.cpuFacts().isas;
  });

  /** One decoder-like chain: norm, product, activation, product into the residual, argmax. */
  const chain = (isa: Isa, numerics: 'native' | 'reference', threads: number, rows: number): Float32Array => {
    const act = addon.configure(isa, numerics, threads);
    const scope = addon.openScope();
    const gateUp = addon.packWeight([source(64, 48, noise(64 * 48, 1)), source(64, 48, noise(64 * 48, 2))], 32);
    const down = addon.packWeight([source(48, 64, noise(48 * 64, 3))], 0);
    const hidden = addon.tensor('f32', [rows, 48]);
    addon.upload(hidden, noise(37 * 48, 4).subarray(0, rows * 48));
    const gain = addon.tensor('f32', [48]);
    addon.upload(gain, new Float32Array(48).fill(1));
    const normed = addon.tensor(act, [rows, 48]);
    const gated = addon.tensor(act, [rows, 64]);
    addon.rmsNorm(hidden, gain, 1e-5, 0, normed);
    addon.linearGated(normed, gateUp, 0, gated);
    addon.linear(gated, down, 0, 1, hidden);
    const result = addon.download(hidden) as Float32Array;
    addon.closeScope(scope);
    addon.freeWeight(gateUp);
    addon.freeWeight(down);
    return result;
  };

  test('reference numerics give the same bits on every instruction set and on 1 and 2 threads', () => {
    const expected = chain('scalar', 'reference', 1, 37);
    for (const isa of isas)
      for (const threads of [1, 2]) assert.deepEqual(chain(isa, 'reference', threads, 37), expected);
  });

  test('a row alone gives the bits it gives among others, in both numerics', () => {
    for (const isa of isas) {
      for (const numerics of ['native', 'reference'] as const) {
        const alone = chain(isa, numerics, 1, 1);
        assert.deepEqual(chain(isa, numerics, 2, 37).subarray(0, 48), alone, `${isa} ${numerics}`);
      }
    }
  });

  test('native numerics stay within 2 % (relative RMS) of the reference', () => {
    const expected = chain('scalar', 'reference', 1, 5);
    for (const isa of isas) {
      const actual = chain(isa, 'native', 2, 5);
      let error = 0;
      let norm = 0;
      for (let i = 0; i < actual.length; i++) {
        error += (actual[i]! - expected[i]!) ** 2;
        norm += expected[i]! ** 2;
      }
      assert.ok(Math.sqrt(error / norm) < 0.02, `${isa}: ${Math.sqrt(error / norm)}`);
    }
  });

  test('configure refuses an instruction set that is not there and names those that are', () => {
    const missing =
      (['amx', 'avx512bf16', 'avx512', 'avx2'] as const).find((isa) => !isas.includes(isa)) ?? ('sse9' as Isa);
    assert.throws(() => addon.configure(missing, 'native', 1), code('ERR_UNSUPPORTED'));
    assert.throws(() => addon.configure('scalar', 'native', 0), code('ERR_SHAPE'));
  });

  test('sizes and ids that do not fit are typed errors, never wild reads', () => {
    addon.configure('scalar', 'native', 1);
    const w = addon.packWeight([source(3, 5, noise(15, 1))], 0);
    const x = addon.tensor('f32', [2, 5]);
    const out = addon.tensor('f32', [2, 3]);
    const wrong = addon.tensor('f32', [2, 4]);
    const ids = addon.tensor('i32', [1]);
    const row = addon.tensor('f32', [1, 5]);
    addon.linear(x, w, 0, 0, out);
    assert.deepEqual(addon.weightShape(w), [3, 5]);
    for (const run of [
      () => addon.linear(wrong, w, 0, 0, out),
      () => addon.linear(x, w, 0, 0, wrong),
      () => addon.linear(x, w, x, 0, out),
      () => addon.linear(x, 999, 0, 0, out),
      () => addon.linear(x, w, 0, 2 as 1, out),
      () => addon.linearGated(x, w, 0, out),
      () => addon.rmsNorm(x, ids, 1e-5, 0, x),
      () => addon.argmax(x, ids),
      () => addon.linear('x' as unknown as number, w, 0, 0, out),
    ]) {
      assert.throws(run, code('ERR_SHAPE'));
    }
    addon.upload(ids, Int32Array.of(3));
    assert.throws(() => addon.embed(w, ids, 1, row), code('ERR_SHAPE'));
    const short = { ...source(3, 5, noise(15, 1)), byteOffset: 1 };
    assert.throws(() => addon.packWeight([short], 0), code('ERR_MODEL_FORMAT'));
    assert.throws(() => addon.packWeight([{ ...short, byteOffset: 1e9 }], 0), code('ERR_SHAPE'));
    assert.throws(() => addon.packVector(short.bytes, 56, 'F32', 2), code('ERR_MODEL_FORMAT'));
    for (const t of [x, out, wrong, ids, row]) addon.free(t);
    addon.freeWeight(w);
    assert.throws(() => addon.weightShape(w), code('ERR_SHAPE'));
  });

  test('weight bytes are counted while a matrix lives, in block form', () => {
    const before = addon.memory().weightBytes;
    const bytes = new Uint8Array((64 * 576 * 20) / 32);
    const w = addon.packWeight([{ bytes, byteOffset: 0, type: 'Q4_1', rows: 64, cols: 576, interleavedHeads: 0 }], 0);
    assert.equal(addon.memory().weightBytes - before, bytes.length);
    addon.freeWeight(w);
    assert.equal(addon.memory().weightBytes, before);
  });

  test('the time inside native calls is counted', () => {
    const start = addon.nativeNanoseconds();
    const t = addon.tensor('f32', [1 << 20]);
    addon.free(t);
    assert.ok(addon.nativeNanoseconds() > start);
  });
});
