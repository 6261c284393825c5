import { WinnowError } from '../../core/errors.js';
import type { Tensor } from '../../methods/contract.js';
import type { Addon, CacheId, DType, TensorId } from '../../native/addon-types.js';

/** A tensor of the native backend. Adapters see only `Tensor`. */
export interface DeviceTensor extends Tensor {
  readonly id: TensorId;
  /** Of a state field with room to grow: the bytes in use by row. */
  readonly usedBytes?: readonly number[];
}

/** The addon with shapes attached to its ids. Owns nothing but the ids it hands out. */
export interface Device {
  readonly addon: Addon;
  /** Activation dtype chosen by `configure`. */
  readonly act: 'f32' | 'bf16';
  tensor(dtype: DType, shape: readonly number[]): DeviceTensor;
  /** What the caller writes whole before anyone reads it. */
  empty(dtype: 'f32' | 'i32', shape: readonly number[]): DeviceTensor;
  /** Outlives every open scope; the caller frees it. */
  lasting(dtype: DType, shape: readonly number[]): DeviceTensor;
  i32(values: Int32Array, shape?: readonly number[]): DeviceTensor;
  slice(t: DeviceTensor, start: number, count: number): DeviceTensor;
  reshape(t: DeviceTensor, shape: readonly number[]): DeviceTensor;
  /** Repeats axis 0 of a tensor with one row. */
  repeat(t: DeviceTensor, rows: number): DeviceTensor;
  wrap(id: TensorId, dtype: DType): DeviceTensor;
  free(t: DeviceTensor): void;
  /** Runs `body`; tensors it made are freed, except those passed to `keep`. */
  scope<R>(body: (keep: <T extends DeviceTensor>(t: T) => T) => R): R;
}

export const createDevice = (addon: Addon, act: 'f32' | 'bf16'): Device => {
  const device: Device = {
    addon,
    act,
    tensor: (dtype, shape) => ({ id: addon.tensor(dtype, [...shape]), dtype, shape }),
    empty: (dtype, shape) => ({
      id:
        addon.emptyTensor === undefined
          ? addon.tensor(dtype, [...shape])
          : addon.emptyTensor(dtype, Int32Array.from(shape)),
      dtype,
      shape,
    }),
    lasting(dtype, shape) {
      const t = device.tensor(dtype, shape);
      addon.keep(t.id);
      return t;
    },
    i32(values, shape) {
      const t = device.empty('i32', shape ?? [values.length]);
      addon.upload(t.id, values);
      return t;
    },
    slice: (t, start, count) => ({
      id: addon.slice(t.id, start, count),
      dtype: t.dtype,
      shape: [count, ...t.shape.slice(1)],
    }),
    reshape: (t, shape) => ({ id: addon.reshape(t.id, [...shape]), dtype: t.dtype, shape }),
    repeat(t, rows) {
      if (rows === 1) return t;
      const out = device.tensor(t.dtype, [rows, ...t.shape.slice(1)]);
      for (let row = 0; row < rows; row++) addon.copyRows(t.id, 0, out.id, row, 1);
      return out;
    },
    wrap: (id, dtype) => ({ id, dtype, shape: addon.shape(id) }),
    free: (t) => addon.free(t.id),
    scope(body) {
      const scope = addon.openScope();
      try {
        return body((t) => {
          addon.keep(t.id);
          return t;
        });
      } finally {
        addon.closeScope(scope);
      }
    },
  };
  return device;
};

/** The native id behind a tensor an adapter gave back. */
export const device = (t: Tensor): DeviceTensor => {
  if (typeof (t as DeviceTensor).id !== 'number') {
    throw new WinnowError(
      'ERR_CONTRACT',
      'tensor',
      'a tensor made by ops',
      t.shape,
      'Adapters build tensors with view.ops only.',
    );
  }
  return t as DeviceTensor;
};

/** Slots as adapters see them, with the caches the ops read. One physical cache stands for all rows while rows are still equal. */
export interface DeviceSlots {
  readonly layer: number;
  readonly rows: number;
  readonly numKvHeads: number;
  readonly maxLen: number;
  readonly lens: Int32Array;
  readonly caches: Int32Array;
}

/** Lens of one layer over several caches, [caches * H]. */
export const layerLens = (
  addon: Addon,
  caches: readonly CacheId[],
  headOffset: number,
  numKvHeads: number,
): Int32Array => {
  const lens = new Int32Array(caches.length * numKvHeads);
  caches.forEach((cache, row) => {
    lens.set(addon.cacheLens(cache).subarray(headOffset, headOffset + numKvHeads), row * numKvHeads);
  });
  return lens;
};

export const largest = (values: Int32Array): number => values.reduce((a, b) => Math.max(a, b), 0);
