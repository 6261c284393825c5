/** Ops of the CUDA backend, with this machine in the place of a GPU, against those of the CPU. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Addon, DType, TensorId } from '../addon-types.js';
import { openCudaAddon } from '../cuda-addon.js';
import { loadAddon } from '../index.js';
import { filledCache, noise, tensorOf } from './tensors.js';

const binary = fileURLToPath(new URL('../build/cuda-host/winnow_cuda_host.node', import.meta.url));
const skip = existsSync(binary) ? false : 'native/build.mjs --cuda-host has not been run';
const cuda = skip === false ? openCudaAddon(binary) : (undefined as unknown as Addon);
const cpu = loadAddon();
const [isa = 'scalar'] = cpu.cpuFacts().isas;
const act = cpu.configure(isa, 'native', 2);
if (skip === false) cuda.configure('scalar', 'native', 2);

type Values = Float32Array | Int32Array | Uint8Array;
const shapeOf = (addon: Addon, t: TensorId): readonly number[] => addon.shape(t);
/** What both backends give for one op. */
const both = (
  run: (addon: Addon) => readonly TensorId[],
): { got: Values; want: Values; shapes: (readonly number[])[] }[] => {
  const [want, got] = [cpu, cuda].map((addon) => {
    const scope = addon.openScope();
    const results = run(addon).map((t) => ({ shape: shapeOf(addon, t), values: addon.download(t) }));
    addon.closeScope(scope);
    return results;
  });
  return want!.map((w, i) => ({ got: got![i]!.values, want: w.values, shapes: [got![i]!.shape, w.shape] }));
};
const assertEqual = (run: (addon: Addon) => readonly TensorId[]): void => {
  for (const { got, want, shapes } of both(run)) {
    assert.deepEqual(shapes[0], shapes[1]);
    assert.deepEqual(got, want);
  }
};
/** ‖got - want‖ / ‖want‖; -inf must stand at the same places. */
const assertClose = (bound: number, run: (addon: Addon) => readonly TensorId[]): void => {
  for (const { got, want, shapes } of both(run)) {
    assert.deepEqual(shapes[0], shapes[1]);
    let difference = 0;
    let size = 0;
    want.forEach((w, i) => {
      if (w === -Infinity || got[i] === -Infinity) {
        assert.equal(got[i], w, `entry ${i}`);
        return;
      }
      difference += (got[i]! - w) ** 2;
      size += w ** 2;
    });
    const error = Math.sqrt(difference / Math.max(size, 1e-30));
    assert.ok(error <= bound, `relative RMS ${error} above ${bound}`);
  }
};
const f32 = (addon: Addon, shape: number[], values: Float32Array): TensorId => tensorOf(addon, 'f32', shape, values);
const i32 = (addon: Addon, shape: number[], values: readonly number[] | Int32Array): TensorId =>
  tensorOf(addon, 'i32', shape, Int32Array.from(values));
const inAct = (addon: Addon, shape: number[], values: Float32Array): TensorId => {
  const dtype: DType = addon === cuda ? 'bf16' : act;
  return tensorOf(addon, dtype, shape, values);
};
/** Values that bf16 holds, so that both backends multiply the same numbers. */
const coarse = (seed: number, count: number): Float32Array => noise(seed, count).map((x) => Math.round(x * 64) / 64);
const packed = (addon: Addon, values: Float32Array, rows: number, cols: number): number =>
  addon.packWeight(
    [{ bytes: new Uint8Array(values.buffer), byteOffset: 0, type: 'F32', rows, cols, interleavedHeads: 0 }],
    0,
  );
/** Scores with ties and, where asked, entries of -inf behind a length. */
const scoresOf = (seed: number, lists: number, length: number, ragged: boolean): Float32Array =>
  noise(seed, lists * length).map((x, i) =>
    ragged && i % length >= length - (Math.floor(i / length) % 3) * 7 ? -Infinity : Math.round(x * 20) / 20,
  );

describe('dense ops of the CUDA backend', { skip }, () => {
  test('a product has the values of the CPU, with a bias, added to and in steps', () => {
    for (const [tokens, rows, cols] of [
      [1, 16, 32],
      [5, 48, 64],
      [19, 64, 96],
    ] as const) {
      for (const step of [0, 1] as const) {
        assertClose(1e-5, (addon) => {
          const weight = packed(addon, coarse(1, rows * cols), rows, cols);
          const x = inAct(addon, [tokens, cols], coarse(2, tokens * cols));
          const bias = f32(addon, [rows], coarse(3, rows));
          const plain = addon.tensor('f32', [tokens, rows]);
          const sum = f32(addon, [tokens, rows], coarse(4, tokens * rows));
          addon.linear(x, weight, bias, 0, plain, step);
          addon.linear(x, weight, 0, 1, sum, step);
          addon.freeWeight(weight);
          return [plain, sum];
        });
      }
    }
  });
  test('an f32 input is rounded to bf16 and multiplied', () => {
    assertClose(5e-3, (addon) => {
      const weight = packed(addon, coarse(1, 16 * 32), 16, 32);
      const out = addon.tensor('f32', [3, 16]);
      addon.linear(f32(addon, [3, 32], noise(2, 96)), weight, 0, 0, out);
      addon.freeWeight(weight);
      return [out];
    });
  });
  test('gate and up in one pass, and one after the other', () => {
    for (const kind of [0, 1] as const) {
      assertClose(8e-3, (addon) => {
        const values = coarse(5, 128 * 32);
        const source = (from: number) => ({
          bytes: new Uint8Array(values.buffer),
          byteOffset: from * 32 * 4,
          type: 'F32' as const,
          rows: 64,
          cols: 32,
          interleavedHeads: 0,
        });
        const weight = addon.packWeight([source(0), source(64)], 32);
        const fused = addon.tensor('f32', [3, 64]);
        addon.linearGated(inAct(addon, [3, 32], coarse(6, 96)), weight, kind, fused);
        addon.freeWeight(weight);
        const apart = addon.tensor('f32', [3, 64]);
        addon.gatedActivation(f32(addon, [3, 128], noise(7, 384)), kind, apart);
        return [fused, apart];
      });
    }
  });
  test('norms, soft cap, embedding, argmax and copies that convert', () => {
    assertClose(1e-5, (addon) => {
      const x = f32(addon, [5, 33], noise(8, 165));
      const gain = f32(addon, [33], noise(9, 33));
      const normed = addon.tensor('f32', [5, 33]);
      const added = f32(addon, [5, 33], noise(10, 165));
      const capped = f32(
        addon,
        [165],
        noise(11, 165).map((v) => v * 40),
      );
      addon.rmsNorm(x, gain, 1e-5, 1, normed);
      addon.rmsNormAdd(x, gain, 1e-6, added);
      addon.softCap(capped, 15);
      return [normed, added, capped];
    });
    assertEqual((addon) => {
      const table = packed(addon, coarse(12, 50 * 32), 50, 32);
      const rows = addon.tensor('f32', [4, 32]);
      addon.embed(table, i32(addon, [4], [0, 49, 7, 7]), 2, rows);
      addon.freeWeight(table);
      const best = addon.tensor('i32', [3]);
      addon.argmax(f32(addon, [3, 40], scoresOf(13, 3, 40, false)), best);
      const half = addon.tensor('bf16', [3, 32]);
      addon.copyRows(f32(addon, [4, 32], noise(14, 128)), 1, half, 0, 3);
      const back = addon.tensor('f32', [3, 32]);
      addon.copyRows(half, 0, back, 0, 3);
      return [rows, best, half, back];
    });
  });
});

describe('scores and lists of the CUDA backend', { skip }, () => {
  test('random scores have the bits of the CPU', () => {
    assertEqual((addon) => [addon.randomScores(2, 3, 500, 2 ** 52 + 12345, 7)]);
  });
  test('the best entries are those of the CPU: budgets over one list, a row, everything; ties, gaps, protected entries', () => {
    const [rows, lists, length] = [2, 3, 50];
    for (const ragged of [false, true])
      for (const [first, last] of [
        [0, 0],
        [2, 5],
        [20, 20],
      ] as const)
        for (const count of [0, 1, 13, 30])
          for (const flatten of [0, 1, 2] as const)
            assertEqual((addon) => {
              const scores = f32(addon, [rows, lists, length], scoresOf(15, rows * lists, length, ragged));
              const shape = flatten === 0 ? [rows, lists] : flatten === 1 ? [rows] : [1];
              const counts = new Int32Array(shape.reduce((a, b) => a * b, 1)).fill(flatten === 0 ? count : count * 3);
              return addon.topK(scores, i32(addon, shape, counts), first, last, flatten);
            });
  });
  test('counts that an op made are read from the device, not remembered', () => {
    assertEqual((addon) => {
      const scores = f32(addon, [1, 2, 40], scoresOf(16, 2, 40, false));
      const few = i32(addon, [1, 2], [3, 3]);
      const many = addon.addToRows(few, Int32Array.of(20));
      addon.copyRows(many, 0, few, 0, 1);
      return [...addon.topK(scores, many, 0, 0, 0), ...addon.topK(scores, few, 0, 0, 0)];
    });
  });
  test('sums, reductions and values of lists', () => {
    assertClose(2e-5, (addon) => {
      const x = f32(addon, [2, 3, 40], scoresOf(17, 6, 40, true));
      const y = f32(addon, [2, 3, 40], scoresOf(18, 6, 40, false));
      const weights = f32(
        addon,
        [2, 3, 40],
        scoresOf(19, 6, 40, true)
          .map(Math.abs)
          .map((v) => (v === Infinity ? -Infinity : v)),
      );
      return [
        addon.axpby(x, 0.5, y, -2),
        addon.axpby(x, 3, 0, 0),
        addon.reduceHeads(x, 0),
        addon.reduceHeads(x, 1),
        addon.reduceHeads(x, 2),
        addon.softmaxLists(x),
        addon.entropyLists(weights),
        addon.argmaxLists(x),
      ];
    });
  });
  test('takes, masks, complements, entries of planes and sums by row move what the CPU moves', () => {
    assertEqual((addon) => {
      const values = f32(addon, [2, 2, 30], noise(20, 120));
      const named = i32(addon, [2, 2, 4], [0, 3, 9, 29, 1, 2, -1, -1, 5, 6, 7, 8, 0, -1, -1, -1]);
      const lens = i32(addon, [2, 2], [4, 2, -1, 1]);
      const plane = f32(addon, [2, 2, 30, 1], noise(21, 120));
      const wide = f32(addon, [2, 2, 10, 3], noise(22, 120));
      addon.writeEntries(f32(addon, [2, 2, 2, 3], noise(23, 24)), wide, Int32Array.of(2, 5, 10, 7));
      return [
        addon.takeLists(values, named),
        addon.takeLists(
          i32(
            addon,
            [2, 2, 30],
            Array.from({ length: 120 }, (_, i) => i),
          ),
          named,
        ),
        addon.maskLists(values, named, lens),
        ...addon.complementLists(named, lens, Int32Array.of(30, 10, 20, 5)),
        addon.readEntries(plane, Int32Array.of(3, 0, 17, 9)),
        addon.addToRows(named, Int32Array.of(5, -2)),
        wide,
      ];
    });
  });
  test('factors of heads, mixes of parts and choices by row', () => {
    assertClose(1e-6, (addon) => {
      const x = f32(addon, [3, 4 * 5], noise(26, 60));
      const scaled = addon.tensor('f32', [3, 20]);
      addon.scaleRows(x, f32(addon, [3, 1, 4], noise(27, 12)), scaled);
      const mixed = addon.tensor('f32', [3, 4, 5]);
      const gates = noise(28, 24).map((gate, i) => (i % 5 === 0 ? 0 : gate));
      addon.mixParts(f32(addon, [2, 3, 4, 5], noise(29, 120)), f32(addon, [3, 1, 4, 2], gates), mixed);
      return [scaled, mixed];
    });
    assertEqual((addon) => {
      const yes = i32(
        addon,
        [3, 2, 4],
        Int32Array.from({ length: 24 }, (_, i) => i),
      );
      const no = i32(
        addon,
        [3, 2, 6],
        Int32Array.from({ length: 36 }, (_, i) => 100 + i),
      );
      return [
        addon.chooseRows(f32(addon, [3], Float32Array.of(0.5, 0, -1)), yes, no),
        addon.chooseRows(i32(addon, [3], [-1, 2, 0]), no, yes),
        addon.chooseRows(
          i32(addon, [3], [1, 0, 1]),
          f32(addon, [3, 1, 2], noise(30, 6)),
          f32(addon, [3, 1, 3], noise(31, 9)),
        ),
      ];
    });
  });
  test('bounds of blocks are those of the CPU', () => {
    for (const gqa of [0, 1, 2, 3, 4] as const)
      assertClose(1e-5, (addon) => {
        const summary = noise(24, 2 * 2 * 5 * 2 * 16).map((v, i) => (i % 32 < 16 ? Math.min(v, 0) : Math.max(v, 0)));
        const q = inAct(addon, [6, 4 * 16], coarse(25, 6 * 64));
        return [addon.blockScores(q, f32(addon, [2, 2, 5, 2, 16], summary), 4, gqa)];
      });
  });
});

describe('scores over the caches of the CUDA backend', { skip }, () => {
  const shape = { numKvHeads: 2, headDim: 32, layers: 2 };
  /** Two rows of unequal lengths, one with heads of unequal lengths. */
  const caches = (addon: Addon): Int32Array => {
    const first = filledCache(addon, shape, 90, 31);
    const second = addon.cacheFork(first);
    addon.cacheDropLast(second, 26);
    const kept = Array.from({ length: 140 }, (_, i) => (i < 70 ? i : Math.floor((i - 70) * 1.2)));
    addon.cacheKeep(first, 1, i32(addon, [2, 70], kept), i32(addon, [2], [50, 70]));
    return Int32Array.of(first, second);
  };
  const freeAll = (addon: Addon, rows: Int32Array): void => {
    for (const cache of rows) addon.cacheFree(cache);
  };
  test('window scores: every reduction, pool, way of the heads, cap and window in positions', () => {
    for (const window of [1, 5, 20])
      for (const [cap, sliding] of [
        [0, 0],
        [3, 0],
        [0, 40],
      ] as const)
        for (const reduce of [0, 1, 2, 3] as const)
          assertClose(2e-2, (addon) => {
            const rows = caches(addon);
            const q = inAct(addon, [2, window, 4 * 32], coarse(32, 2 * window * 128));
            const scores = ([0, 1, 2, 3, 4] as const).map((gqa) =>
              addon.windowScores(q, rows, 1, 0.4, cap, sliding, reduce, (gqa % 3) as 0 | 1 | 2, 5, gqa),
            );
            freeAll(addon, rows);
            return scores;
          });
  });
  test('norms of keys and values, and summaries of pages from one on', () => {
    assertClose(1e-6, (addon) => {
      const rows = caches(addon);
      const plain = [addon.slotNorms(rows, 1, 0), addon.slotNorms(rows, 1, 1)];
      freeAll(addon, rows);
      return plain;
    });
    assertEqual((addon) => {
      const rows = caches(addon);
      const whole = addon.blockSummary(rows, 1, 16, 0, 0);
      const room = addon.tensor('f32', [2, 2, 7, 2, 32]);
      addon.blockSummary(rows, 1, 16, 3, room);
      freeAll(addon, rows);
      return [whole, room];
    });
  });
  test('a window wider than a head and pools of even size are refused', () => {
    const rows = caches(cuda);
    const q = cuda.tensor('bf16', [2, 60, 128]);
    assert.throws(() => cuda.windowScores(q, rows, 1, 1, 0, 0, 0, 0, 1, 0), { code: 'ERR_SHAPE' });
    const few = cuda.tensor('bf16', [2, 2, 128]);
    assert.throws(() => cuda.windowScores(few, rows, 1, 1, 0, 0, 0, 1, 4, 0), { code: 'ERR_SHAPE' });
    freeAll(cuda, rows);
  });
});
