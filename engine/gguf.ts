/**
 * Reader of GGUF files (versions 2 and 3, little-endian): metadata and where each tensor lies.
 *
 * Counts, lengths and offsets come from the file and are checked against its size before anything is allocated for them.
 * Throws: ERR_MODEL_FORMAT for a damaged file, ERR_UNSUPPORTED for a sound one that we cannot use.
 */
import { WinnowError } from '../core/errors.js';
import type { WeightType } from '../native/addon-types.js';
import { type BoundedFile, checkRange, formatError } from './checkpoint-file.js';
import { type GgufCursor, openGgufCursor } from './gguf-cursor.js';
import { ggufTensorTypes, ggufTypeNames } from './gguf-types.js';

export type NumberArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;
export type GgufValue = number | boolean | string | readonly string[] | NumberArray;

export interface GgufTensor {
  readonly name: string;
  readonly type: WeightType;
  /** Row-major: slowest axis first (the file stores the fastest first). */
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface Gguf {
  readonly path: string;
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** Bytes that one entry takes at least: an upper bound for the counts in the header. */
const smallestPair = 8 + 4 + 1;
const smallestTensor = 8 + 4 + 8 + 4 + 8;
const maxDimensions = 4;
const defaultAlignment = 32;

export function readGguf(file: BoundedFile): Gguf {
  const cursor = openGgufCursor(file);
  const version = readVersion(file, cursor);
  const tensorCount = cursor.count('tensor count', smallestTensor);
  const pairCount = cursor.count('metadata count', smallestPair);
  const metadata = new Map<string, GgufValue>();
  for (let pair = 0; pair < pairCount; pair++) {
    const at = cursor.position();
    const key = cursor.string('metadata key');
    if (metadata.has(key)) throw formatError(file.path, 'metadata key', at, 'each key once', key);
    metadata.set(key, cursor.value(key));
  }
  const infos: TensorInfo[] = [];
  for (let index = 0; index < tensorCount; index++) infos.push(readTensorInfo(file, cursor));
  const alignment = readAlignment(file, metadata);
  const dataOffset = Math.ceil(cursor.position() / alignment) * alignment;
  return { path: file.path, version, metadata, tensors: placeTensors(file, infos, dataOffset, alignment) };
}

interface TensorInfo extends Omit<GgufTensor, 'byteOffset'> {
  readonly offset: number;
  readonly at: number;
}

function readVersion(file: BoundedFile, cursor: GgufCursor): number {
  const magic = cursor.bytes(4, 'magic').toString('latin1');
  if (magic !== 'GGUF') throw formatError(file.path, 'magic', 0, '"GGUF"', magic);
  const version = cursor.u32('version');
  if (version === 2 || version === 3) return version;
  const swapped = version === 0x0200_0000 || version === 0x0300_0000;
  if (swapped || version === 1) {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${file.path}, version`,
      'GGUF 2 or 3, little-endian',
      swapped ? 'a big-endian file' : 'version 1',
    );
  }
  throw formatError(file.path, 'version', 4, '2 or 3', version);
}

function readTensorInfo(file: BoundedFile, cursor: GgufCursor): TensorInfo {
  const at = cursor.position();
  const name = cursor.string('tensor name');
  const what = `shape of ${name}`;
  const dimensions = cursor.u32(what);
  if (dimensions < 1 || dimensions > maxDimensions)
    throw formatError(file.path, what, at, `1 to ${maxDimensions} dimensions`, dimensions);
  const shape: number[] = [];
  let values = 1;
  for (let axis = 0; axis < dimensions; axis++) {
    const size = cursor.u64(what);
    values *= size;
    // No type stores more than 8 values in a byte, so a larger product cannot be in this file.
    if (size < 1 || values > file.size * 8)
      throw formatError(file.path, what, at, `a tensor that fits ${file.size} bytes`, `${values} values`);
    shape.unshift(size);
  }
  const typeId = cursor.u32(`type of ${name}`);
  const block = ggufTensorTypes.get(typeId);
  if (block === undefined) {
    const supported = [...ggufTensorTypes.values()].map(({ type }) => type).join(', ');
    const known = ggufTypeNames[typeId];
    if (known === undefined && typeId > 64)
      throw formatError(file.path, `type of ${name}`, at, 'a GGUF tensor type', typeId);
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${file.path}, type of ${name}`,
      supported,
      known ?? `type ${typeId}`,
      'Use a file in one of these types.',
    );
  }
  const rowLength = shape[shape.length - 1]!;
  if (rowLength % block.values !== 0)
    throw formatError(file.path, what, at, `rows of a multiple of ${block.values} values (${block.type})`, rowLength);
  const offset = cursor.u64(`offset of ${name}`);
  return { name, type: block.type, shape, byteLength: (values / block.values) * block.bytes, offset, at };
}

function readAlignment(file: BoundedFile, metadata: Gguf['metadata']): number {
  const value = metadata.get('general.alignment') ?? defaultAlignment;
  const isValid = typeof value === 'number' && Number.isInteger(Math.log2(value)) && value >= 1 && value <= 65_536;
  if (!isValid) throw formatError(file.path, 'general.alignment', 0, 'a power of two up to 65536', value);
  return value;
}

function placeTensors(
  file: BoundedFile,
  infos: readonly TensorInfo[],
  dataOffset: number,
  alignment: number,
): Map<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  for (const { name, type, shape, byteLength, offset, at } of infos) {
    if (tensors.has(name)) throw formatError(file.path, 'tensor name', at, 'each name once', name);
    if (offset % alignment !== 0)
      throw formatError(file.path, `offset of ${name}`, at, `a multiple of ${alignment}`, offset);
    checkRange(file.path, `data of ${name}`, dataOffset + offset, byteLength, file.size);
    tensors.set(name, { name, type, shape, byteOffset: dataOffset + offset, byteLength });
  }
  const ordered = [...tensors.values()].sort((a, b) => a.byteOffset - b.byteOffset);
  for (let index = 1; index < ordered.length; index++) {
    const [before, after] = [ordered[index - 1]!, ordered[index]!];
    if (before.byteOffset + before.byteLength > after.byteOffset) {
      throw formatError(
        file.path,
        `data of ${after.name}`,
        after.byteOffset,
        `data after ${before.name}, which ends at ${before.byteOffset + before.byteLength}`,
        'an overlap',
      );
    }
  }
  return tensors;
}
