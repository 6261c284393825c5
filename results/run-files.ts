import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { z } from 'zod';
import { canonicalJson, sha256Hex } from '../core/canonical-json.js';
import { WinnowError } from '../core/errors.js';
import { codeOf } from '../core/files.js';
import {
  type CellRecord,
  cellIdSchema,
  cellSchema,
  type RunRecord,
  runSchema,
  type SampleRecord,
  sampleSchema,
  type TimingPass,
  timingPassSchema,
} from './schema.js';

/** Where things are in a run directory. */
export const runPaths = (dir: string) => ({
  run: join(dir, 'run.json'),
  checksums: join(dir, 'checksums.json'),
  csv: join(dir, 'cells.csv'),
  report: join(dir, 'report.md'),
  cells: join(dir, 'cells'),
  samples: join(dir, 'samples'),
  timings: join(dir, 'timings'),
  charts: join(dir, 'charts'),
  journal: join(dir, 'samples', 'unfinished.jsonl.partial'),
  cell: (cellId: string) => join(dir, 'cells', `${cellId}.json`),
  cellSamples: (cellId: string) => join(dir, 'samples', `${cellId}.jsonl.gz`),
  timing: (passId: string) => join(dir, 'timings', `${passId}.json`),
});

export const recordText = (record: unknown): string =>
  `${JSON.stringify(JSON.parse(canonicalJson(record)), null, 2)}\n`;

export const readRunRecord = (dir: string): RunRecord => readRecord(runPaths(dir).run, runSchema);

export const readCellRecord = (dir: string, cellId: string): CellRecord => {
  const path = runPaths(dir).cell(cellId);
  const record = readRecord(path, cellSchema);
  if (record.cell.cellId !== cellId) throw damaged(path, `the record of cell ${cellId}`, record.cell.cellId);
  return record;
};

export const readTimingPass = (dir: string, passId: string): TimingPass =>
  readRecord(runPaths(dir).timing(passId), timingPassSchema);

/** Ids of the records in a folder, sorted; a folder that is not there holds none. */
export const listIds = (folder: string, ending: string): string[] => {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return [];
    throw cause;
  }
  const ids = names.filter((name) => name.endsWith(ending)).map((name) => name.slice(0, -ending.length));
  return ids.filter((id) => cellIdSchema.safeParse(id).success).sort();
};

/** Same records, same bytes: sorted by index, canonical JSON, no time and no operating system in the gzip header. */
export const encodeSamples = (samples: readonly SampleRecord[]): Buffer => {
  const lines = [...samples].sort((a, b) => a.index - b.index).map((sample) => `${canonicalJson(sample)}\n`);
  const bytes = gzipSync(lines.join(''), { level: 6 });
  bytes.fill(0, 4, 8);
  bytes[9] = 255;
  return bytes;
};

/** Samples of a finished cell, checked against the hash in its record; `largest` bounds what their file may unpack to. */
export const readCellSamples = (dir: string, record: CellRecord, largest = largestSamplesBytes): SampleRecord[] => {
  const path = runPaths(dir).cellSamples(record.cell.cellId);
  const bytes = readBytes(path);
  if (sha256Hex(bytes) !== record.samplesSha256)
    throw damaged(path, `sha256 ${record.samplesSha256}`, sha256Hex(bytes));
  let lines: string[];
  try {
    lines = gunzipSync(bytes, { maxOutputLength: largest }).toString().split('\n').slice(0, -1);
  } catch (cause) {
    throw damaged(path, 'gzip of JSON lines', cause instanceof Error ? cause.message : String(cause));
  }
  return lines.map((line, i) => parseJson(`${path}:${i + 1}`, line, sampleSchema));
};

export const readRecord = <T>(path: string, schema: z.ZodType<T>): T =>
  parseJson(path, readBytes(path).toString(), schema);

const parseJson = <T>(where: string, content: string, schema: z.ZodType<T>): T => {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (cause) {
    throw damaged(where, 'JSON', cause instanceof Error ? cause.message : String(cause));
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw damaged(where, `a record of schema version 1`, `${issue?.path.join('.') || 'record'}: ${issue?.message}`);
};

const readBytes = (path: string): Buffer => {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw damaged(path, 'a readable file', codeOf(cause) ?? String(cause));
  }
};

export const damaged = (path: string, expected: string, actual: string): WinnowError =>
  new WinnowError(
    'ERR_RECORD',
    path,
    expected,
    actual,
    'The record is damaged: restore the file, or remove this cell from cells/ and samples/ and run the same command again.',
  );

/** Records may come from strangers: a small file must not unpack into all of the memory. */
const largestSamplesBytes = 2 ** 30;
