/**
 * Reader of safetensors files: an 8-byte header length, a JSON header, then the bytes of the tensors.
 *
 * Lengths, shapes and offsets come from the file and are checked against its size before anything is allocated for them.
 * Throws: ERR_MODEL_FORMAT for a damaged file, ERR_UNSUPPORTED for a type of tensor that we cannot use.
 */
import { WinnowError } from '../core/errors.js';
import type { WeightType } from '../native/addon-types.js';
import { type BoundedFile, formatError } from './checkpoint-file.js';

export interface SafetensorsTensor {
  readonly name: string;
  readonly type: WeightType;
  /** Row-major, slowest axis first. */
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

const bytesOfType: Readonly<Record<string, { readonly type: WeightType; readonly bytes: number }>> = {
  F32: { type: 'F32', bytes: 4 },
  F16: { type: 'F16', bytes: 2 },
  BF16: { type: 'BF16', bytes: 2 },
};
/** Types of the format that no weight of ours has; a tensor of these is only refused when it is used. */
const otherTypes = new Set([
  'F64',
  'I64',
  'I32',
  'I16',
  'I8',
  'U64',
  'U32',
  'U16',
  'U8',
  'BOOL',
  'F8_E4M3',
  'F8_E5M2',
  'F8_E8M0',
  'F4',
  'F6_E2M3',
  'F6_E3M2',
  'C64',
]);
/** The format's own limit for the JSON header. */
const maxHeaderBytes = 100_000_000;
const maxDimensions = 8;

export function readSafetensors(file: BoundedFile): ReadonlyMap<string, SafetensorsTensor> {
  const headerLength = readHeaderLength(file);
  const dataOffset = 8 + headerLength;
  const tensors = new Map<string, SafetensorsTensor>();
  for (const [name, info] of Object.entries(parseHeader(file, headerLength))) {
    if (name === '__metadata__') continue;
    const tensor = readInfo(file, name, info, dataOffset);
    if (tensor !== undefined) tensors.set(name, tensor);
  }
  checkOverlap(file, tensors);
  return tensors;
}

/** The format's own place for words about a file; empty when there are none. */
export function safetensorsMetadata(file: BoundedFile): Readonly<Record<string, string>> {
  const metadata = parseHeader(file, readHeaderLength(file)).__metadata__ ?? {};
  const isWords = typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata);
  if (!isWords || !Object.values(metadata).every((value) => typeof value === 'string'))
    throw formatError(file.path, '__metadata__', 8, 'an object of strings', metadata);
  return metadata as Record<string, string>;
}

function readHeaderLength(file: BoundedFile): number {
  const length = Number(file.read(0, 8, 'header length').readBigUInt64LE());
  const most = Math.min(maxHeaderBytes, file.size - 8);
  if (length < 2 || length > most) throw formatError(file.path, 'header length', 0, `2 to ${most} bytes`, length);
  return length;
}

function parseHeader(file: BoundedFile, length: number): Record<string, unknown> {
  const text = file.read(8, length, 'header').toString('utf8');
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    throw formatError(file.path, 'header', 8, 'JSON', (error as Error).message);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw formatError(file.path, 'header', 8, 'a JSON object', text.slice(0, 40));
  return header as Record<string, unknown>;
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function readInfo(file: BoundedFile, name: string, info: unknown, dataOffset: number): SafetensorsTensor | undefined {
  const what = `header entry ${JSON.stringify(name.slice(0, 200))}`;
  const {
    dtype,
    shape,
    data_offsets: offsets,
  } = (typeof info === 'object' && info !== null ? info : {}) as Record<string, unknown>;
  if (typeof dtype !== 'string' || !(Object.hasOwn(bytesOfType, dtype) || otherTypes.has(dtype))) {
    throw formatError(file.path, what, 8, 'a dtype of the format', dtype);
  }
  if (!Array.isArray(shape) || shape.length > maxDimensions || !shape.every(isSize)) {
    throw formatError(file.path, what, 8, `a shape of up to ${maxDimensions} sizes`, shape);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize))
    throw formatError(file.path, what, 8, 'two data_offsets', offsets);
  const [start, end] = offsets as [number, number];
  if (start > end || dataOffset + end > file.size) {
    throw formatError(
      file.path,
      `${what}, data_offsets`,
      8,
      `a range inside the ${file.size - dataOffset} bytes of data`,
      offsets,
    );
  }
  const known = bytesOfType[dtype];
  if (known === undefined) return undefined;
  const values = shape.reduce((product, size) => product * size, 1);
  if (values * known.bytes !== end - start)
    throw formatError(
      file.path,
      `${what}, data_offsets`,
      8,
      `${values * known.bytes} bytes for its shape`,
      end - start,
    );
  return { name, type: known.type, shape, byteOffset: dataOffset + start, byteLength: end - start };
}

function checkOverlap(file: BoundedFile, tensors: ReadonlyMap<string, SafetensorsTensor>): void {
  const ordered = [...tensors.values()]
    .filter(({ byteLength }) => byteLength > 0)
    .sort((a, b) => a.byteOffset - b.byteOffset);
  for (let index = 1; index < ordered.length; index++) {
    const [before, after] = [ordered[index - 1]!, ordered[index]!];
    const end = before.byteOffset + before.byteLength;
    if (end > after.byteOffset)
      throw formatError(
        file.path,
        `data of ${after.name}`,
        after.byteOffset,
        `data after ${before.name}, which ends at ${end}`,
        'an overlap',
      );
  }
}

/** Weight files of a directory: `model.safetensors`, or the shards that its index names. */
export function shardNames(where: string, indexText: string): string[] {
  let index: unknown;
  try {
    index = JSON.parse(indexText);
  } catch (error) {
    throw new WinnowError('ERR_MODEL_FORMAT', where, 'JSON', (error as Error).message);
  }
  const map = (index as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== 'object' || map === null)
    throw new WinnowError('ERR_MODEL_FORMAT', `${where}, weight_map`, 'an object', map);
  const names = new Set<string>();
  for (const value of Object.values(map)) {
    // A name that could leave the directory is never opened.
    if (typeof value !== 'string' || !/^[\w][\w.-]*\.safetensors$/.test(value)) {
      throw new WinnowError('ERR_MODEL_FORMAT', `${where}, weight_map`, 'names of .safetensors files beside it', value);
    }
    names.add(value);
  }
  return [...names].sort();
}
