/** Where records begin and end in the bytes of a file: found in one pass, so that any record can be read without the others. */
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { WinnowError } from '../core/errors.js';

export interface Bytes {
  readonly length: number;
  /** A view or a copy of [start, end). */
  slice(start: number, end: number): Buffer;
}

/** Start, end and line (from 1) of each record. */
export interface RecordPlaces {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly lines: readonly number[];
}

/** More than any file that we know unpacks to, and what a Buffer can hold. */
const mostUnpackedBytes = 2 ** 31;

/** A plain file is read piece by piece; a gzip file is unpacked into memory, at most 2 GiB. */
export const openBytes = (path: string): Bytes => {
  if (path.endsWith('.gz')) return inMemory(unpack(path));
  const { size } = statSync(path);
  return {
    length: size,
    slice(start, end) {
      const buffer = Buffer.allocUnsafe(Math.min(end, size) - start);
      const file = openSync(path, 'r');
      try {
        let filled = 0;
        while (filled < buffer.length) {
          const count = readSync(file, buffer, filled, buffer.length - filled, start + filled);
          if (count === 0)
            throw damaged(path, `${size} bytes`, `${start + filled}: it became shorter while it was read`);
          filled += count;
        }
      } finally {
        closeSync(file);
      }
      return buffer;
    },
  };
};

const inMemory = (bytes: Buffer): Bytes => ({
  length: bytes.length,
  slice: (start, end) => bytes.subarray(start, end),
});

const unpack = (path: string): Buffer => {
  try {
    return gunzipSync(readFileSync(path), { maxOutputLength: mostUnpackedBytes });
  } catch (error) {
    throw damaged(path, 'a whole gzip file of at most 2 GiB unpacked', (error as Error).message);
  }
};

export const damaged = (where: string, expected: string, actual: unknown): WinnowError =>
  new WinnowError('ERR_DATASET_FORMAT', where, expected, actual, 'Fetch the file again.');

const windowBytes = 4 << 20;
const [NEWLINE, QUOTE, BACKSLASH, COMMA] = [0x0a, 0x22, 0x5c, 0x2c];
const OPENERS: readonly number[] = [0x5b, 0x7b];
const CLOSERS: readonly number[] = [0x5d, 0x7d];
const isBlank = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

const hasInk = (bytes: Buffer, start: number, end: number): boolean => {
  for (let i = start; i < end; i++) if (!isBlank(bytes[i]!)) return true;
  return false;
};

/** Lines that are not blank. */
export const linePlaces = (bytes: Bytes): RecordPlaces => {
  const places = { starts: [] as number[], ends: [] as number[], lines: [] as number[] };
  let line = 1;
  let start = 0;
  let isFilled = false;
  const end = (at: number): void => {
    if (!isFilled) return;
    places.starts.push(start);
    places.ends.push(at);
    places.lines.push(line);
  };
  for (let from = 0; from < bytes.length; from += windowBytes) {
    const window = bytes.slice(from, Math.min(from + windowBytes, bytes.length));
    let next = 0;
    for (let at = window.indexOf(NEWLINE); at >= 0; at = window.indexOf(NEWLINE, next)) {
      isFilled ||= hasInk(window, next, at);
      end(from + at);
      line++;
      next = at + 1;
      start = from + next;
      isFilled = false;
    }
    isFilled ||= hasInk(window, next, window.length);
  }
  end(bytes.length);
  return places;
};

/** Elements of the JSON array that is the whole file. Throws: ERR_DATASET_FORMAT where the brackets do not come out even. */
export const elementPlaces = (bytes: Bytes, file: string): RecordPlaces => {
  const places = { starts: [] as number[], ends: [] as number[], lines: [] as number[] };
  let [line, depth, start] = [1, 0, -1];
  let [inString, isEscaped, isOver] = [false, false, false];
  const bad = (expected: string, at: number): WinnowError => damaged(`${file}:${line}`, expected, `byte ${at}`);
  const open = (at: number): void => {
    if (start >= 0) return;
    start = at;
    places.lines.push(line);
  };
  const close = (at: number): void => {
    if (start < 0 && places.starts.length + Number(bytes.slice(at, at + 1)[0] === COMMA) > 0) throw bad('a record', at);
    if (start < 0) return;
    places.starts.push(start);
    places.ends.push(at);
    start = -1;
  };
  let first = bytes.slice(0, Math.min(3, bytes.length)).equals(Buffer.from([0xef, 0xbb, 0xbf])) ? 3 : 0;
  for (let from = 0; from < bytes.length; from += windowBytes) {
    const window = bytes.slice(from, Math.min(from + windowBytes, bytes.length));
    for (let i = first; i < window.length; i++) {
      const byte = window[i]!;
      if (byte === NEWLINE) line++;
      if (inString) {
        if (isEscaped) isEscaped = false;
        else if (byte === BACKSLASH) isEscaped = true;
        else if (byte === QUOTE) inString = false;
        continue;
      }
      if (isBlank(byte)) continue;
      if (isOver) throw bad('nothing after the array', from + i);
      if (depth === 0 && byte !== 0x5b) throw bad('a JSON array of records', from + i);
      if (depth === 1 && (byte === COMMA || byte === 0x5d)) close(from + i);
      else if (depth === 1) open(from + i);
      if (byte === QUOTE) inString = true;
      else if (OPENERS.includes(byte)) depth++;
      else if (CLOSERS.includes(byte)) depth--;
      isOver = depth === 0;
    }
    first = 0;
  }
  if (!isOver) throw bad('the end of the array', bytes.length);
  return places;
};
