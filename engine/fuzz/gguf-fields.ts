/** Where the numbers of a sound GGUF file stand, for damage that knows the format. */
import { ggufArray, ggufScalarBytes, ggufString } from '../gguf-types.js';
import type { NumberField } from './mutate.js';

export interface GgufMap {
  readonly fields: readonly NumberField[];
  /** Bytes before the data of the tensors. */
  readonly headerBytes: number;
}

/** Counts, lengths, types, sizes and offsets, in order; of an array of strings the first few. */
export function mapGguf(bytes: Buffer): GgufMap {
  const fields: NumberField[] = [];
  let next = 4;
  const u32 = (): number => {
    fields.push({ at: next, width: 4 });
    next += 4;
    return bytes.readUInt32LE(next - 4);
  };
  const u64 = (isKept = true): number => {
    if (isKept) fields.push({ at: next, width: 8 });
    next += 8;
    return Number(bytes.readBigUInt64LE(next - 8));
  };
  const text = (isKept = true): void => {
    const length = u64(isKept);
    next += length;
  };
  const value = (type: number): void => {
    if (type === ggufString) {
      text();
      return;
    }
    if (type === ggufArray) {
      const element = u32();
      const count = u64();
      for (let index = 0; index < count; index++) {
        if (element === ggufString) text(index < 4);
        else next += ggufScalarBytes.get(element)!;
      }
      return;
    }
    const width = ggufScalarBytes.get(type)!;
    if (width === 4 || width === 8) fields.push({ at: next, width });
    next += width;
  };
  u32();
  const tensors = u64();
  const pairs = u64();
  for (let pair = 0; pair < pairs; pair++) {
    text();
    value(u32());
  }
  for (let tensor = 0; tensor < tensors; tensor++) {
    text();
    const dimensions = u32();
    for (let axis = 0; axis < dimensions; axis++) u64();
    u32();
    u64();
  }
  return { fields, headerBytes: next };
}
