import { blockOf } from '../engine/gguf-types.js';
import type { Addon, CacheId, Isa, LayoutId, TensorId, WeightId, WeightType } from '../native/addon-types.js';
import { loadAddon } from '../native/index.js';
import { alone, type BenchRow, medianMs } from './bench-rows.js';

/** Matrices of the default model (135M) and of a 1B model: columns, then rows. */
const MATRICES: readonly (readonly [cols: number, rows: number])[] = [
  [576, 960],
  [576, 3072],
  [1536, 576],
  [2048, 8192],
];

/** Listed for the largest matrix; the others show how shapes matter, in one type. */
const BLOCK_TYPES = ['Q4_0', 'Q4_1', 'IQ4_NL', 'Q4_K', 'Q5_0', 'Q5_1', 'Q5_K', 'Q6_K', 'Q8_0'] as const;

/** Multiplications of the largest product that the scalar path is asked for: about a second. */
const SCALAR_LIMIT = 2e8;

/** Dense products: prefill chunks in bf16 and block types, single tokens of a decode step in block types. One row for each instruction set of the machine. */
export function* benchGemm(threads: number): Generator<BenchRow> {
  const addon = loadAddon();
  for (const isa of addon.cpuFacts().isas) {
    for (const [cols, rows] of MATRICES) {
      const isLargest = cols * rows === Math.max(...MATRICES.map(([k, n]) => k * n));
      const products: (readonly [tokens: number, type: WeightType])[] = [
        [1024, 'BF16'],
        ...(isLargest ? BLOCK_TYPES : (['Q4_1'] as const)).map((type) => [1024, type] as const),
        ...(isLargest ? BLOCK_TYPES : (['Q4_1'] as const)).map((type) => [1, type] as const),
      ];
      for (const [tokens, type] of products) {
        // The scalar path exists for correctness; long chunks would take minutes.
        if (isa === 'scalar' && tokens * cols * rows > SCALAR_LIMIT) continue;
        yield benchOneGemm(addon, isa, threads, tokens, cols, rows, type);
      }
    }
  }
}

const benchOneGemm = (
  addon: Addon,
  isa: Isa,
  threads: number,
  tokens: number,
  cols: number,
  rows: number,
  type: WeightType,
): BenchRow => {
  const act = addon.configure(isa, 'native', threads);
  const weight = packRandom(addon, rows, cols, type);
  const x = addon.tensor(act, [tokens, cols]);
  const out = addon.tensor('f32', [tokens, rows]);
  addon.upload(x, randomValues(tokens * cols));
  const { ms, rounds } = medianMs(() => addon.linear(x, weight, 0, 0, out, tokens === 1 ? 1 : 0));
  addon.freeWeight(weight);
  addon.free(x);
  addon.free(out);
  const gigaflops = (2 * tokens * rows * cols) / ms / 1e6;
  const facts = { name: tokens === 1 ? 'gemv' : 'gemm', isa, shape: `${tokens}x${cols}x${rows} ${type}` };
  return alone(facts, ms, rounds, { value: gigaflops, unit: 'GFLOP/s' });
};

export const packRandom = (addon: Addon, rows: number, cols: number, type: WeightType): WeightId => {
  const bytes = type === 'BF16' ? bf16Bytes(rows * cols) : blockBytes(type, rows * cols);
  return addon.packWeight([{ bytes, byteOffset: 0, type, rows, cols, interleavedHeads: 0 }], 0);
};

export const randomValues = (count: number): Float32Array => {
  const values = new Float32Array(count);
  let state = 12345;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    values[i] = state / 2 ** 31;
  }
  return values;
};

const bf16Bytes = (count: number): Uint8Array => {
  const halves = new Uint16Array(count);
  const values = new Uint32Array(randomValues(count).buffer);
  for (let i = 0; i < count; i++) halves[i] = values[i]! >>> 16;
  return new Uint8Array(halves.buffer);
};

/** Random codes under f16 scales of 1/64 (a K type's own are six bits of that); the values hardly matter to the time. */
const blockBytes = (type: WeightType, weights: number): Uint8Array => {
  const { values, bytes: size } = blockOf(type);
  const bytes = new Uint8Array((weights / values) * size);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.imul(i, 2654435761) >>> 24;
  for (let at = 0; at < bytes.length; at += size) {
    bytes.set([0, 0x24], at + (type === 'Q6_K' ? 208 : 0));
    if (/_[1K]$/.test(type) && type !== 'Q6_K') bytes.set([0, 0x24], at + 2);
  }
  return bytes;
};

/** Query heads, KV heads and head width of the default model and of a 1B model. */
const HEADS: readonly (readonly [numQueryHeads: number, numKvHeads: number, headDim: number])[] = [
  [9, 3, 64],
  [32, 8, 64],
];

/** Causal attention of a whole prompt, and of one token over a filled cache. */
export function* benchAttention(threads: number): Generator<BenchRow> {
  const addon = loadAddon();
  for (const isa of addon.cpuFacts().isas) {
    for (const heads of HEADS) {
      for (const slots of isa === 'scalar' ? [512] : [1024, 4096])
        yield* benchOneAttention(addon, isa, threads, heads, slots);
    }
  }
}

function* benchOneAttention(
  addon: Addon,
  isa: Isa,
  threads: number,
  [numQueryHeads, numKvHeads, headDim]: (typeof HEADS)[number],
  slots: number,
): Generator<BenchRow> {
  const act = addon.configure(isa, 'native', threads);
  const layout: LayoutId = addon.cacheLayout(Int32Array.of(numKvHeads), Int32Array.of(headDim), Int32Array.of(headDim));
  const cache: CacheId = addon.cacheCreate(layout);
  const scope = addon.openScope();
  try {
    fillCache(addon, cache, numKvHeads, headDim, slots);
    const query = (tokens: number): TensorId => {
      const q = addon.tensor(act, [tokens, numQueryHeads * headDim]);
      addon.upload(q, randomValues(tokens * numQueryHeads * headDim));
      return q;
    };
    const scale = 1 / Math.sqrt(headDim);
    const shape = `${slots} slots, ${numQueryHeads}/${numKvHeads} heads of ${headDim}`;
    const prompt = query(slots);
    const promptOut = addon.tensor(act, [slots, numQueryHeads * headDim]);
    const whole = medianMs(() => addon.attendPrefill(prompt, cache, 0, scale, 0, 0, 0, promptOut, 0));
    const pairs = (slots * (slots + 1)) / 2;
    const gigaflops = (4 * pairs * numQueryHeads * headDim) / whole.ms / 1e6;
    yield alone({ name: 'attention-prefill', isa, shape }, whole.ms, whole.rounds, {
      value: gigaflops,
      unit: 'GFLOP/s',
    });
    const token = query(1);
    const out = addon.tensor(act, [1, numQueryHeads * headDim]);
    const caches = Int32Array.of(cache);
    const step = medianMs(() => addon.attendDecode(token, caches, 0, 1, scale, 0, 0, 0, 0, 0, 0, out, 0, 0));
    const gigabytes = addon.cacheReadBytes(cache, 0).reduce((sum, bytes) => sum + bytes, 0) / step.ms / 1e6;
    yield alone({ name: 'attention-decode', isa, shape }, step.ms, step.rounds, { value: gigabytes, unit: 'GB/s' });
  } finally {
    addon.closeScope(scope);
    addon.cacheFree(cache);
  }
}

export const fillCache = (addon: Addon, cache: CacheId, numKvHeads: number, headDim: number, slots: number): void => {
  const states = (): TensorId => {
    const t = addon.tensor('f32', [numKvHeads, slots, headDim]);
    addon.upload(t, randomValues(numKvHeads * slots * headDim));
    return t;
  };
  const perSlot = (value: (slot: number) => number): TensorId => {
    const t = addon.tensor('i32', [numKvHeads, slots]);
    addon.upload(
      t,
      Int32Array.from({ length: numKvHeads * slots }, (_, i) => value(i % slots)),
    );
    return t;
  };
  const bias = addon.tensor('f32', [numKvHeads, slots]);
  addon.cacheAppend(
    cache,
    0,
    states(),
    states(),
    perSlot((slot) => slot),
    perSlot(() => 1),
    bias,
  );
};
