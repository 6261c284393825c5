/** Storage types of GGUF tensors that the engine can use, and the wire types of GGUF metadata. */
import type { WeightType } from '../native/addon-types.js';

export interface BlockShape {
  readonly type: WeightType;
  /** Values of one block; a row holds whole blocks. */
  readonly values: number;
  readonly bytes: number;
}

/** By the type id that stands in the file. */
export const ggufTensorTypes: ReadonlyMap<number, BlockShape> = new Map([
  [0, { type: 'F32', values: 1, bytes: 4 }],
  [1, { type: 'F16', values: 1, bytes: 2 }],
  [2, { type: 'Q4_0', values: 32, bytes: 18 }],
  [3, { type: 'Q4_1', values: 32, bytes: 20 }],
  [6, { type: 'Q5_0', values: 32, bytes: 22 }],
  [7, { type: 'Q5_1', values: 32, bytes: 24 }],
  [8, { type: 'Q8_0', values: 32, bytes: 34 }],
  [12, { type: 'Q4_K', values: 256, bytes: 144 }],
  [13, { type: 'Q5_K', values: 256, bytes: 176 }],
  [14, { type: 'Q6_K', values: 256, bytes: 210 }],
  [20, { type: 'IQ4_NL', values: 32, bytes: 18 }],
  [30, { type: 'BF16', values: 1, bytes: 2 }],
]);

/** Names of types that exist in the wild, so that the message for an unsupported one says more than a number. */
export const ggufTypeNames: Readonly<Record<number, string>> = {
  9: 'Q8_1',
  10: 'Q2_K',
  11: 'Q3_K',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  29: 'IQ1_M',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
};

export const blockOf = (type: WeightType): BlockShape => {
  for (const shape of ggufTensorTypes.values()) if (shape.type === type) return shape;
  throw new TypeError(`no block shape for ${type}`);
};

/** Bytes of one scalar of a metadata value type; string and array have none. */
export const ggufScalarBytes: ReadonlyMap<number, number> = new Map([
  [0, 1],
  [1, 1],
  [2, 2],
  [3, 2],
  [4, 4],
  [5, 4],
  [6, 4],
  [7, 1],
  [10, 8],
  [11, 8],
  [12, 8],
]);
export const ggufString = 8;
export const ggufArray = 9;
