/** Reads GGUF scalars, strings and arrays one after another, a window of the file at a time. */
import { type BoundedFile, checkRange, formatError } from './checkpoint-file.js';
import type { GgufValue, NumberArray } from './gguf.js';
import { ggufArray, ggufScalarBytes, ggufString } from './gguf-types.js';

export interface GgufCursor {
  position(): number;
  bytes(length: number, what: string): Buffer;
  u32(what: string): number;
  /** A 64-bit number; above 2^53 it is no length or size of any file. */
  u64(what: string): number;
  /** A number of things of which each takes at least `bytesEach` of the rest of the file. */
  count(what: string, bytesEach: number): number;
  string(what: string): string;
  value(key: string): GgufValue;
}

/** Arrays stay as narrow as in the file, so that a file cannot ask for more memory than its own size; 64-bit integers become doubles. */
const arrayOf: Readonly<Record<number, new (length: number) => NumberArray>> = {
  0: Uint8Array,
  1: Int8Array,
  2: Uint16Array,
  3: Int16Array,
  4: Uint32Array,
  5: Int32Array,
  6: Float32Array,
  7: Uint8Array,
};

/** Large enough that a vocabulary takes few reads, small enough not to matter beside the weights. */
const windowBytes = 1 << 20;

export function openGgufCursor(file: BoundedFile): GgufCursor {
  let view: Buffer = Buffer.alloc(0);
  let viewStart = 0;
  let next = 0;

  const bytes = (length: number, what: string): Buffer => {
    checkRange(file.path, what, next, length, file.size);
    if (next < viewStart || next + length > viewStart + view.length) {
      view = file.read(next, Math.min(file.size - next, Math.max(length, windowBytes)), what);
      viewStart = next;
    }
    const start = next - viewStart;
    next += length;
    return view.subarray(start, start + length);
  };
  const u32 = (what: string): number => bytes(4, what).readUInt32LE();
  const u64 = (what: string): number => {
    const value = bytes(8, what).readBigUInt64LE();
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw formatError(file.path, what, next - 8, 'a number below 2^53', value.toString());
    return Number(value);
  };
  const count = (what: string, bytesEach: number): number => {
    const value = u64(what);
    const most = Math.floor((file.size - next) / bytesEach);
    if (value > most)
      throw formatError(file.path, what, next - 8, `at most ${most} (the file has ${file.size} bytes)`, value);
    return value;
  };
  const string = (what: string): string => {
    const length = u64(what);
    return bytes(length, what).toString('utf8');
  };
  const typedArray = (key: string, type: number): GgufValue => {
    if (type === ggufString) {
      const length = count(key, 8);
      const values: string[] = [];
      for (let index = 0; index < length; index++) values.push(string(key));
      return values;
    }
    const width = ggufScalarBytes.get(type);
    if (width === undefined)
      throw formatError(file.path, key, next - 4, 'an array of scalars or strings', `element type ${type}`);
    const length = count(key, width);
    const raw = bytes(length * width, key);
    const values = new (arrayOf[type] ?? Float64Array)(length);
    for (let index = 0; index < length; index++) values[index] = Number(scalar(raw, index * width, type));
    return values;
  };
  const value = (key: string): GgufValue => {
    const type = u32(key);
    if (type === ggufString) return string(key);
    if (type === ggufArray) return typedArray(key, u32(key));
    const width = ggufScalarBytes.get(type);
    if (width === undefined) throw formatError(file.path, key, next - 4, 'a metadata type (0 to 12)', type);
    return scalar(bytes(width, key), 0, type);
  };
  return { position: () => next, bytes, u32, u64, count, string, value };
}

/** 64-bit integers become the nearest double: no quantity that we read needs more than 53 bits. */
function scalar(raw: Buffer, at: number, type: number): number | boolean {
  switch (type) {
    case 0:
      return raw.readUInt8(at);
    case 1:
      return raw.readInt8(at);
    case 2:
      return raw.readUInt16LE(at);
    case 3:
      return raw.readInt16LE(at);
    case 4:
      return raw.readUInt32LE(at);
    case 5:
      return raw.readInt32LE(at);
    case 6:
      return raw.readFloatLE(at);
    case 7:
      return raw.readUInt8(at) !== 0;
    case 10:
      return Number(raw.readBigUInt64LE(at));
    case 11:
      return Number(raw.readBigInt64LE(at));
    default:
      return raw.readDoubleLE(at);
  }
}
