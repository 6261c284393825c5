/** Tensors of a checkpoint as float32 on the host, whatever their storage: the native side unpacks them. */
import type { Addon } from '../native/addon-types.js';
import { type Checkpoint, tensorOf } from './checkpoint.js';

/** Rows unpacked at once, so that only the result is as large as the matrix. */
const ROWS = 4096;

/**
 * f32 [rows, cols] or [length], row-major; heads stored with interleaved rotary pairs come out in halves, as the graph rotates them.
 * In reference numerics these are the stored values; in native ones float weights are rounded as the products see them.
 */
export const floatTensor = (addon: Addon, checkpoint: Checkpoint, name: string): Float32Array => {
  const tensor = tensorOf(checkpoint, name);
  const { type, byteOffset, shape, interleavedHeads } = tensor;
  const scope = addon.openScope();
  try {
    if (shape.length === 1)
      return addon.download(addon.packVector(tensor.bytes, byteOffset, type, shape[0]!)) as Float32Array;
    const [rows, cols] = shape as [number, number];
    const source = { bytes: tensor.bytes, byteOffset, type, rows, cols, interleavedHeads };
    const weight = addon.packWeight([source], 0);
    try {
      const out = new Float32Array(rows * cols);
      for (let row = 0; row < rows; row += ROWS) {
        const count = Math.min(ROWS, rows - row);
        const ids = addon.tensor('i32', [count]);
        addon.upload(
          ids,
          Int32Array.from({ length: count }, (_, i) => row + i),
        );
        const part = addon.tensor('f32', [count, cols]);
        addon.embed(weight, ids, 1, part);
        out.set(addon.download(part) as Float32Array, row * cols);
        addon.free(part);
        addon.free(ids);
      }
      return out;
    } finally {
      addon.freeWeight(weight);
    }
  } finally {
    addon.closeScope(scope);
  }
};
