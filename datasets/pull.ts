/** Brings the files of a dataset into the cache, from their sources or from a folder of the user's: whole, checked and readable, or not at all. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { WinnowError } from '../core/errors.js';
import { type OnProgress, onDisk } from '../engine/download.js';
import { requireAccepted, type Terms } from '../engine/models-licence.js';
import type { DatasetEntry, DatasetFileEntry } from './contract.js';
import { datasetEntry, datasetFolder, datasetIds, readName } from './manifest.js';
import { mismatch } from './open.js';
import { parquetToLines } from './parquet.js';
import { fetchFrom } from './pull-sources.js';
import { hashFileSync, readPulled, writePulled } from './pulled.js';
import { damaged } from './record-places.js';
import { openRecords } from './records.js';
import { readZipMember } from './zip-member.js';

export interface PulledDataset {
  readonly id: string;
  readonly folder: string;
  readonly files: readonly (PulledFileState & { readonly name: string })[];
}

export interface PulledFileState {
  /** `there`: it was in the cache; `absent`: the folder of the user's does not have it. */
  readonly state: 'there' | 'fetched' | 'absent';
  readonly bytes?: number;
  readonly sha256?: string;
  /** Whether the manifest knows the hash, or this pull decided it. */
  readonly trust?: 'manifest' | 'first-pull';
}

export interface PullOptions {
  /** A folder that has the files, or one of them; nothing is fetched then. */
  readonly from?: string;
  readonly onProgress?: OnProgress;
}

export const datasetTerms = (): readonly Terms[] => datasetIds().flatMap((id) => datasetEntry(id).terms ?? []);

/** Throws: ERR_USAGE (unknown, or its licence not accepted), ERR_MISSING, ERR_CHECKSUM, ERR_DATASET_FORMAT, ERR_UNREACHABLE, ERR_DISK. */
export const pullDataset = async (
  id: string,
  { from, onProgress = () => undefined }: PullOptions = {},
): Promise<PulledDataset> => {
  const entry = datasetEntry(id);
  requireAccepted('dataset', id, entry.terms);
  const folder = datasetFolder(id);
  const incoming = join(folder, `incoming-${process.pid}`);
  onDisk(folder, () => mkdirSync(incoming, { recursive: true }));
  const files: PulledDataset['files'][number][] = [];
  try {
    for (const file of entry.files)
      files.push({ name: file.name, ...(await pullFile(entry, file, { incoming, folder, from, onProgress })) });
  } finally {
    rmSync(incoming, { recursive: true, force: true });
  }
  if (from !== undefined && files.every(({ state }) => state === 'absent')) throw nothingThere(entry, from);
  return { id, folder, files };
};

interface Places {
  readonly incoming: string;
  readonly folder: string;
  readonly from: string | undefined;
  readonly onProgress: OnProgress;
}

const pullFile = async (entry: DatasetEntry, file: DatasetFileEntry, places: Places): Promise<PulledFileState> => {
  const { folder, incoming, from } = places;
  const path = join(folder, file.name);
  if (existsSync(path) && existsSync(join(folder, readName(file)))) {
    const known = readPulled(folder)[file.name];
    const sha256 = hashFileSync(path);
    const expected = file.sha256 ?? known?.sha256;
    if (expected === undefined || sha256 === expected) {
      if (known?.sha256 !== sha256) finish(entry, file, { folder, from: path, source: 'put there by hand' });
      return describe('there', file, path, sha256);
    }
  }
  const part = join(incoming, file.name);
  const source = from === undefined ? await fetchFrom(entry.id, file, part, places) : takeFrom(entry, file, from, part);
  if (source === undefined) return { state: 'absent' };
  const sha256 = hashFileSync(part);
  if (file.sha256 !== undefined && sha256 !== file.sha256)
    throw mismatch(entry.id, from ?? source, file.sha256, sha256);
  if (file.format === 'parquet') await parquetToLines(part, join(incoming, readName(file)));
  finish(entry, file, { folder, from: part, source });
  return describe('fetched', file, path, sha256);
};

const describe = (
  state: 'there' | 'fetched',
  file: DatasetFileEntry,
  path: string,
  sha256: string,
): PulledFileState => ({
  state,
  bytes: statSync(path).size,
  sha256,
  trust: file.sha256 === undefined ? 'first-pull' : 'manifest',
});

/** Reads the first and the last record before the file may be where tasks find it. */
const finish = (
  { id }: DatasetEntry,
  file: DatasetFileEntry,
  { folder, from, source }: { readonly folder: string; readonly from: string; readonly source: string },
): void => {
  const read = file.format === 'parquet' ? `${from}.jsonl` : from;
  const records = openRecords(read, file);
  if (file.records !== undefined && records.size !== file.records)
    throw damaged(`${id} ${file.name}`, `${file.records} records`, records.size);
  if (records.size === 0) throw damaged(`${id} ${file.name}`, 'records', 'none');
  for (const index of [0, records.size - 1]) records.record(index);
  for (const [made, name] of new Map([
    [read, readName(file)],
    [from, file.name],
  ])) {
    const path = join(folder, name);
    if (made !== path) onDisk(path, () => renameSync(made, path));
    writePulled(folder, name, {
      sha256: hashFileSync(path),
      source: name === file.name ? source : `made from ${file.name}`,
    });
  }
};

/** Copies a file out of the user's folder, unpacked where it is packed there; undefined when it is not there. */
const takeFrom = (entry: DatasetEntry, file: DatasetFileEntry, from: string, part: string): string | undefined => {
  const stat = statSync(from, { throwIfNoEntry: false });
  if (stat === undefined)
    throw new WinnowError('ERR_MISSING', '--from', 'a folder or a file', from, 'Correct the path.');
  const isOnlyFile = entry.files.length === 1;
  if (stat.isFile() && !isOnlyFile && ![file.name, `${file.name}.gz`].includes(basename(from))) return undefined;
  const inFolder = (name: string): string => (stat.isFile() ? from : join(from, name));
  const archives =
    file.zipMember === undefined
      ? []
      : file.sources.flatMap((source) => ('path' in source ? basename(source.path) : []));
  const names = [file.name, `${file.name}.gz`, ...archives];
  const path = names.map(inFolder).find((candidate) => existsSync(candidate));
  if (path === undefined) return undefined;
  onDisk(part, () => {
    if (path.endsWith('.zip')) writeFileSync(part, readZipMember(path, file.zipMember ?? file.name));
    else if (path.endsWith('.gz') && !file.name.endsWith('.gz')) writeFileSync(part, unpacked(path));
    else copyFileSync(path, part);
  });
  return path;
};

const unpacked = (path: string): Buffer => {
  try {
    return gunzipSync(readFileSync(path), { maxOutputLength: 2 ** 31 });
  } catch (error) {
    throw damaged(path, 'a whole gzip file of at most 2 GiB unpacked', (error as Error).message);
  }
};

const nothingThere = ({ id, files }: DatasetEntry, from: string): WinnowError =>
  new WinnowError(
    'ERR_MISSING',
    `dataset ${id}`,
    `one of its files in ${from}: ${files.map(({ name }) => name).join(', ')}`,
    'none of them',
    'Correct the path, or rename the file.',
  );
