import type { Device } from '../../engine/core/device.js';
import { fillCache, packRandom, randomValues } from '../bench-kernels.js';

/** Milliseconds of one dense product x [tokens, cols] by weight [rows, cols], bf16 or Q4_1 weights. */
export const gemmMs = (
  { addon, act }: Device,
  shape: {
    readonly tokens: number;
    readonly cols: number;
    readonly rows: number;
    readonly type: 'BF16' | 'Q4_1';
    readonly repeats: number;
  },
): number => {
  const { tokens, cols, rows, type, repeats } = shape;
  const weight = packRandom(addon, rows, cols, type);
  const x = addon.tensor(act, [tokens, cols]);
  const out = addon.tensor('f32', [tokens, rows]);
  try {
    addon.upload(x, randomValues(tokens * cols));
    addon.linear(x, weight, 0, 0, out);
    return repeated(repeats, () => addon.linear(x, weight, 0, 0, out));
  } finally {
    addon.freeWeight(weight);
    addon.free(x);
    addon.free(out);
  }
};

/** Milliseconds of causal attention of a whole prompt in one layer. */
export const attentionMs = (
  { addon, act }: Device,
  shape: {
    readonly tokens: number;
    readonly queryHeads: number;
    readonly kvHeads: number;
    readonly headDim: number;
    readonly repeats: number;
  },
): number => {
  const { tokens, queryHeads, kvHeads, headDim, repeats } = shape;
  const layout = addon.cacheLayout(Int32Array.of(kvHeads), Int32Array.of(headDim), Int32Array.of(headDim));
  const cache = addon.cacheCreate(layout);
  const scope = addon.openScope();
  try {
    fillCache(addon, cache, kvHeads, headDim, tokens);
    const q = addon.tensor(act, [tokens, queryHeads * headDim]);
    addon.upload(q, randomValues(tokens * queryHeads * headDim));
    const out = addon.tensor(act, [tokens, queryHeads * headDim]);
    const attend = () => addon.attendPrefill(q, cache, 0, 1 / Math.sqrt(headDim), 0, 0, 0, out, 0);
    attend();
    return repeated(repeats, attend);
  } finally {
    addon.closeScope(scope);
    addon.cacheFree(cache);
  }
};

const repeated = (repeats: number, work: () => void): number => {
  const start = performance.now();
  for (let i = 0; i < repeats; i++) work();
  return (performance.now() - start) / repeats;
};
