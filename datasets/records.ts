/** Records of one file, by index. */
import { parse as parseCsv } from 'csv-parse/sync';
import type { DatasetFileEntry } from './contract.js';
import { type Bytes, damaged, elementPlaces, linePlaces, openBytes, type RecordPlaces } from './record-places.js';

export interface Records {
  readonly size: number;
  record(index: number): unknown;
  /** From 1; undefined where a file knows no lines. */
  line(index: number): number | undefined;
}

/** The longest text that a string can hold, with room to spare. */
const longestText = 2 ** 28;

/** Throws: ERR_DATASET_FORMAT. Only the places of records are read at once, except of CSV and of members of an object. */
export const openRecords = (
  path: string,
  { format, member, encoding }: Pick<DatasetFileEntry, 'format' | 'member' | 'encoding'>,
): Records => {
  const bytes = openBytes(path);
  if (bytes.length === 0) throw damaged(path, 'records', 'an empty file');
  switch (format) {
    case 'text':
      return inMemory([{ text: wholeText(bytes, path, encoding) }]);
    case 'csv':
    case 'tsv':
      return csvRecords(wholeText(bytes, path), path, format === 'tsv' ? '\t' : ',');
    case 'json':
      return member === undefined
        ? placed(bytes, elementPlaces(bytes, path), path)
        : inMemory(membersOf(parseJson(wholeText(bytes, path), path), member, path));
    case 'jsonl':
    case 'parquet':
      return placed(bytes, linePlaces(bytes), path);
  }
};

const inMemory = (records: readonly unknown[]): Records => ({
  size: records.length,
  record: (index) => records[index],
  line: () => undefined,
});

const placed = (bytes: Bytes, { starts, ends, lines }: RecordPlaces, path: string): Records => ({
  size: starts.length,
  record(index) {
    const [start, end] = [starts[index]!, ends[index]!];
    const where = `${path}:${lines[index]}`;
    if (end - start > longestText) throw damaged(where, `a record of at most ${longestText} bytes`, end - start);
    return parseJson(decode(bytes.slice(start, end), where), where);
  },
  line: (index) => lines[index],
});

const wholeText = (bytes: Bytes, path: string, encoding?: 'latin1'): string => {
  if (bytes.length > longestText) throw damaged(path, `at most ${longestText} bytes of this format`, bytes.length);
  const whole = bytes.slice(0, bytes.length);
  return encoding === undefined ? decode(whole, path) : whole.toString(encoding);
};

/** Strict: a damaged byte must not become a question mark in a prompt. A mark of byte order at the start is dropped. */
const decode = (bytes: Buffer, where: string): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw damaged(where, 'UTF-8 text', 'other bytes');
  }
};

const parseJson = (text: string, where: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw damaged(where, 'JSON', (error as Error).message);
  }
};

const membersOf = (whole: unknown, member: string, path: string): readonly unknown[] => {
  const records = typeof whole === 'object' && whole !== null ? (whole as Record<string, unknown>)[member] : undefined;
  if (Array.isArray(records)) return records;
  throw damaged(path, `an object whose ${member} is an array`, typeof records);
};

/** Rows as objects by the names of the first line. */
const csvRecords = (text: string, path: string, delimiter: string): Records => {
  let rows: { record: Record<string, string>; info: { lines: number } }[];
  try {
    rows = parseCsv(text, { columns: true, info: true, bom: true, delimiter, quote: delimiter === '\t' ? null : '"' });
  } catch (error) {
    throw damaged(path, 'a table whose rows have as many fields as its first line', (error as Error).message);
  }
  return { size: rows.length, record: (index) => rows[index]?.record, line: (index) => rows[index]?.info.lines };
};
