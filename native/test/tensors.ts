import type { Addon, CacheId, DType, TensorId } from '../index.js';

/** Small deterministic numbers in [-1, 1), for tests of the binding. */
export const noise = (seed: number, count: number): Float32Array => {
  let state = (seed * 2654435761) >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2147483648 - 1;
  });
};

/** A tensor with these values. */
export const tensorOf = (addon: Addon, dtype: DType, shape: number[], values: Float32Array | Int32Array): TensorId => {
  const id = addon.tensor(dtype, shape);
  addon.upload(id, values);
  return id;
};

export interface Shape {
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly layers: number;
}

/** A cache whose every layer holds `slots` slots of noise at positions 0, 1, …. */
export const filledCache = (addon: Addon, shape: Shape, slots: number, seed: number): CacheId => {
  const { numKvHeads: heads, headDim, layers } = shape;
  const each = (value: number) => new Int32Array(layers).fill(value);
  const cache = addon.cacheCreate(addon.cacheLayout(each(heads), each(headDim), each(headDim)));
  for (let layer = 0; layer < layers; layer++) appendNoise(addon, cache, shape, layer, slots, seed + layer);
  return cache;
};

/** Appends slots of noise to one layer; positions go on from `firstPosition`. */
export const appendNoise = (
  addon: Addon,
  cache: CacheId,
  shape: Shape,
  layer: number,
  slots: number,
  seed: number,
  firstPosition = 0,
): void => {
  const { numKvHeads: heads, headDim } = shape;
  const scope = addon.openScope();
  const rows = heads * slots;
  addon.cacheAppend(
    cache,
    layer,
    tensorOf(addon, 'f32', [heads, slots, headDim], noise(seed, rows * headDim)),
    tensorOf(addon, 'f32', [heads, slots, headDim], noise(seed + 1000, rows * headDim)),
    tensorOf(
      addon,
      'i32',
      [heads, slots],
      Int32Array.from({ length: rows }, (_, i) => firstPosition + (i % slots)),
    ),
    tensorOf(addon, 'i32', [heads, slots], new Int32Array(rows).fill(1)),
    tensorOf(addon, 'f32', [heads, slots], new Float32Array(rows)),
  );
  addon.closeScope(scope);
};
