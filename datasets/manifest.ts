/** The datasets that Winnow knows: one file each in datasets/manifest/. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WinnowError } from '../core/errors.js';
import { suggestName } from '../core/nearest-name.js';
import { cacheFolder } from '../engine/models-cache.js';
import { type DatasetEntry, type DatasetFileEntry, datasetSchema } from './contract.js';

const FOLDER = fileURLToPath(new URL('manifest/', import.meta.url));

export const datasetIds = (): readonly string[] =>
  readdirSync(FOLDER)
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .sort();

/** Throws: ERR_USAGE with the near name. */
export const datasetEntry = (id: string): DatasetEntry => {
  const ids = datasetIds();
  if (!ids.includes(id))
    throw new WinnowError('ERR_USAGE', 'dataset', 'a dataset of the manifest', id, suggestName(id, ids));
  return datasetSchema.parse(JSON.parse(readFileSync(join(FOLDER, `${id}.json`), 'utf8')));
};

/** The named file of a dataset, or its first. Throws: ERR_USAGE. */
export const fileEntry = ({ id, files }: DatasetEntry, name?: string): DatasetFileEntry => {
  if (name === undefined) return files[0]!;
  const found = files.find((file) => file.name === name);
  if (found !== undefined) return found;
  const names = files.map((file) => file.name);
  throw new WinnowError('ERR_USAGE', `dataset ${id}`, `one of its files ${names.join(', ')}`, name);
};

/** Where its files are after a pull. */
export const datasetFolder = (id: string): string => join(cacheFolder(), 'datasets', id);

/** The name under which records are read: a parquet file is read from the lines that a pull made of it. */
export const readName = ({ name, format }: DatasetFileEntry): string => (format === 'parquet' ? `${name}.jsonl` : name);

/** Whether its files lie in the cache; their hashes are checked when they are opened. */
export const datasetState = (id: string): 'fetched' | 'partly fetched' | 'not fetched' => {
  const { files } = datasetEntry(id);
  const there = files.filter((file) => existsSync(join(datasetFolder(id), readName(file)))).length;
  return there === files.length ? 'fetched' : there === 0 ? 'not fetched' : 'partly fetched';
};
