/** Reads datasets: of the cache, or of a user's folder or file. */
import { existsSync, statSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { WinnowError } from '../core/errors.js';
import type { DatasetEntry, DatasetFile, DatasetFileEntry, OpenDataset } from './contract.js';
import { datasetEntry, datasetFolder, fileEntry, readName } from './manifest.js';
import { currentSha256, hashFileSync, readPulled } from './pulled.js';
import { openRecords, type Records } from './records.js';

export interface OpenOptions {
  /**
   * Instead of the cache: a folder with the files of the manifest, checked like those; or one file of the user's own, which is taken as it
   * is and stands in for the file that it is called like, else for the first one asked for (others are looked for beside it).
   */
  readonly from?: string;
}

/** Each file is opened once. A file whose bytes are not those of the manifest, or of its first pull, is refused. */
export const openDatasets = ({ from }: OpenOptions = {}): OpenDataset & { readonly opened: readonly DatasetFile[] } => {
  const opened = new Map<string, DatasetFile>();
  const ownFile = from !== undefined && statSync(from, { throwIfNoEntry: false })?.isFile() === true ? from : undefined;
  let standsFor: string | undefined;
  const placeOf = (entry: DatasetEntry, file: DatasetFileEntry): Place => {
    if (ownFile === undefined) return checked(entry.id, file, from ?? datasetFolder(entry.id));
    const namesake = entry.files.find(({ name }) => unpackedName(name) === unpackedName(basename(ownFile))) ?? file;
    standsFor ??= `${entry.id}/${namesake.name}`;
    if (standsFor === `${entry.id}/${file.name}`)
      return { path: ownFile, sha256: hashFileSync(ownFile), trust: 'own-file' };
    return checked(entry.id, file, dirname(ownFile));
  };
  const open: OpenDataset = (id, name) => {
    const entry = datasetEntry(id);
    const file = fileEntry(entry, name);
    const key = `${id}/${file.name}`;
    const before = opened.get(key);
    if (before !== undefined) return before;
    const made = openFile(id, file, placeOf(entry, file));
    opened.set(key, made);
    return made;
  };
  return Object.defineProperty(open, 'opened', { get: () => [...opened.values()] }) as ReturnType<typeof openDatasets>;
};

/** One file of the manifest by id. See `openDatasets`. */
export const openDataset = (
  id: string,
  { file, ...options }: OpenOptions & { readonly file?: string } = {},
): DatasetFile => openDatasets(options)(id, file);

interface Place {
  readonly path: string;
  readonly sha256: string;
  readonly trust: DatasetFile['trust'];
}

const unpackedName = (name: string): string => name.replace(/\.gz$/, '');

const checked = (id: string, file: DatasetFileEntry, folder: string): Place => {
  const name = readName(file);
  const path = join(folder, name);
  if (!existsSync(path)) throw missing(id, path);
  const known = readPulled(folder)[name];
  // What a pull made of a parquet file has a hash of its own.
  const expected = name === file.name ? (file.sha256 ?? known?.sha256) : known?.sha256;
  const actual = currentSha256(path, known);
  if (expected !== undefined && actual !== expected) throw mismatch(id, path, expected, actual);
  return {
    path,
    sha256: actual,
    trust: file.sha256 !== undefined && expected === file.sha256 ? 'manifest' : 'first-pull',
  };
};

export const missing = (id: string, path: string): WinnowError =>
  new WinnowError(
    'ERR_MISSING',
    `dataset ${id}`,
    `its file at ${path}`,
    'nothing there',
    `Run: winnow datasets pull ${id}, or take it from a folder of yours: winnow datasets pull ${id} --from FOLDER`,
  );

export const mismatch = (id: string, path: string, expected: string, actual: string): WinnowError =>
  new WinnowError(
    'ERR_CHECKSUM',
    path,
    `sha256 ${expected}`,
    actual,
    `It is not the file that ${id} means. Take it away and run: winnow datasets pull ${id}`,
  );

/** A user's own file is read as its name says, the manifest's as the manifest says. */
const formatOf = (path: string, file: DatasetFileEntry): DatasetFileEntry => {
  const extension = extname(path.replace(/\.gz$/, '')).slice(1);
  if (basename(path) === readName(file)) return file;
  if (extension === 'jsonl' || extension === 'csv' || extension === 'tsv') return { ...file, format: extension };
  if (extension === 'json') return { ...file, format: 'json' };
  return file.format === 'parquet' ? { ...file, format: 'jsonl' } : file;
};

const openFile = (dataset: string, file: DatasetFileEntry, { path, sha256, trust }: Place): DatasetFile => {
  let records: Records | undefined;
  const read = (): Records => {
    if (records !== undefined) return records;
    records = openRecords(path, formatOf(path, file));
    const wrongCount = trust !== 'own-file' && file.records !== undefined && file.records !== records.size;
    if (!wrongCount) return records;
    throw new WinnowError('ERR_DATASET_FORMAT', path, `${file.records} records`, records.size, 'Fetch the file again.');
  };
  const made = new Map<unknown, unknown>();
  const self: DatasetFile = {
    dataset,
    name: file.name,
    path,
    sha256,
    trust,
    get size() {
      return read().size;
    },
    record(index) {
      if (!Number.isInteger(index) || index < 0 || index >= read().size)
        throw new WinnowError('ERR_INTERNAL', path, `a record below ${read().size}`, index);
      return read().record(index);
    },
    where(index) {
      const line = read().line(index);
      return line === undefined ? `${basename(path)} record ${index}` : `${basename(path)}:${line}`;
    },
    derived<T>(make: (opened: DatasetFile) => T): T {
      if (!made.has(make)) made.set(make, make(self));
      return made.get(make) as T;
    },
    *[Symbol.iterator]() {
      for (let index = 0; index < read().size; index++) yield read().record(index);
    },
  };
  return self;
};
