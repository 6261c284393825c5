import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { type Addon, loadAddon, type WeightId, type WeightType } from '../index.js';
import { tensorOf } from './tensors.js';

interface BlockCase {
  readonly type: WeightType;
  readonly rows: number;
  readonly cols: number;
  readonly bytes: Uint8Array;
  /** What the `gguf` package decodes the bytes to, row-major. */
  readonly values: Float32Array;
}

/** Recorded by scripts/record-block-types.py. */
const cases: BlockCase[] = (
  JSON.parse(readFileSync(new URL('fixtures/block-types.json', import.meta.url), 'utf8')) as (Omit<
    BlockCase,
    'bytes' | 'values'
  > & { readonly bytes: string; readonly values: string })[]
).map(({ bytes, values, ...shape }) => {
  const raw = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'));
  return { ...shape, bytes: raw(bytes), values: new Float32Array(raw(values).buffer) };
});

/** Equal numbers; the sign of a zero does not count. */
const assertSame = (actual: Float32Array, expected: Float32Array, what: string): void => {
  assert.equal(actual.length, expected.length);
  const wrong = expected.findIndex((value, i) => actual[i] !== value);
  assert.equal(wrong, -1, `${what}: value ${wrong} is ${actual[wrong]}, not ${expected[wrong]}`);
};

describe('block types against the gguf package', () => {
  let addon: Addon;
  before(() => {
    addon = loadAddon();
  });

  /** The same matrix `copies` times, stacked. */
  const pack = ({ type, rows, cols, bytes }: BlockCase, copies: number): WeightId =>
    addon.packWeight(
      Array.from({ length: copies }, () => ({ bytes, byteOffset: 0, type, rows, cols, interleavedHeads: 0 })),
      0,
    );

  test('every block type is recorded', () => {
    const block = ['Q8_0', 'Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'IQ4_NL', 'Q4_K', 'Q5_K', 'Q6_K'];
    assert.deepEqual(
      cases.map(({ type }) => type),
      block,
    );
  });

  for (const recorded of cases) {
    const { type, rows, cols, values } = recorded;

    test(`${type}: embed and packVector give the recorded values exactly`, () => {
      addon.configure('scalar', 'reference', 1);
      const scope = addon.openScope();
      const w = pack(recorded, 1);
      const ids = tensorOf(
        addon,
        'i32',
        [rows],
        Int32Array.from({ length: rows }, (_, i) => i),
      );
      const out = addon.tensor('f32', [rows, cols]);
      addon.embed(w, ids, 1, out);
      assertSame(addon.download(out) as Float32Array, values, 'embed');
      const vector = addon.packVector(recorded.bytes, 0, type, rows * cols);
      assertSame(addon.download(vector) as Float32Array, values, 'packVector');
      addon.freeWeight(w);
      addon.closeScope(scope);
    });

    test(`${type}: products with unit vectors read each weight exactly, on every instruction set and number of rows`, () => {
      const w = pack(recorded, 15);
      for (const isa of addon.cpuFacts().isas) {
        addon.configure(isa, 'reference', 2);
        for (const T of [1, 2, 3, 4, 9, 256]) {
          const scope = addon.openScope();
          const x = new Float32Array(T * cols);
          for (let t = 0; t < T; t++) x[t * cols + ((t * 85) % cols)] = 1;
          const out = addon.tensor('f32', [T, 15 * rows]);
          addon.linear(tensorOf(addon, 'f32', [T, cols], x), w, 0, 0, out);
          const expected = Float32Array.from(
            { length: T * 15 * rows },
            (_, i) => values[(i % rows) * cols + ((Math.floor(i / (15 * rows)) * 85) % cols)]!,
          );
          assertSame(addon.download(out) as Float32Array, expected, `${isa}, ${T} rows`);
          addon.closeScope(scope);
        }
      }
      addon.freeWeight(w);
    });
  }

  test('a K type whose rows are no whole super-blocks is refused with both numbers', () => {
    const bytes = new Uint8Array(144 * 4);
    assert.throws(
      () => addon.packWeight([{ bytes, byteOffset: 0, type: 'Q4_K', rows: 2, cols: 64, interleavedHeads: 0 }], 0),
      { code: 'ERR_MODEL_FORMAT', message: /a multiple of 256 columns for Q4_K, got "?64/ },
    );
  });

  test('a weight takes the bits that the contract promises', () => {
    const bits = {
      Q8_0: 8.5,
      Q4_0: 4.5,
      Q4_1: 5,
      Q5_0: 5.5,
      Q5_1: 6,
      IQ4_NL: 4.5,
      Q4_K: 4.625,
      Q5_K: 5.625,
      Q6_K: 6.5625,
    };
    for (const recorded of cases) {
      const before = addon.memory().weightBytes;
      const w = pack({ ...recorded, rows: 4 }, 16);
      const taken = ((addon.memory().weightBytes - before) * 8) / (64 * recorded.cols);
      assert.equal(taken, bits[recorded.type as keyof typeof bits], recorded.type);
      addon.freeWeight(w);
    }
  });
});
