/** What lies in the cache folder, by what it is, and how it is removed. */
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../core/files.js';
import { cacheFolder } from './models-cache.js';

/** Kinds with a folder of entries each; `other` is everything else but the small files of records. */
export const CACHE_KINDS = ['models', 'hub', 'datasets', 'peers', 'other'] as const;
export type CacheKind = (typeof CACHE_KINDS)[number];

export interface CacheEntry {
  readonly kind: CacheKind;
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  /** When a file of it was last written. */
  readonly changedAt: Date;
}

/** Accepted licences and known hashes: small, and not to be lost. */
const RECORDS: readonly string[] = ['accepted-licences.json', 'hashes.json'];

/** Entries by kind and name. An empty or missing cache folder holds none. */
export const cacheEntries = (folder = cacheFolder()): CacheEntry[] =>
  namesIn(folder).flatMap((name) => {
    const path = join(folder, name);
    if (RECORDS.includes(name)) return [];
    const kind = CACHE_KINDS.find((one) => one === name && one !== 'other');
    if (kind === undefined) return [entryOf('other', name, path)];
    // Peers share one Python environment: they go together.
    if (kind === 'peers') return [entryOf(kind, name, path)];
    return namesIn(path).map((inner) => entryOf(kind, inner, join(path, inner)));
  });

export const removeEntry = ({ path }: CacheEntry): void => rmSync(path, { recursive: true, force: true });

const entryOf = (kind: CacheKind, name: string, path: string): CacheEntry => ({ kind, name, path, ...measure(path) });

const measure = (path: string): { bytes: number; changedAt: Date } => {
  const stat = lstatSync(path);
  if (!stat.isDirectory()) return { bytes: stat.size, changedAt: stat.mtime };
  let [bytes, changed] = [0, 0];
  for (const name of readdirSync(path)) {
    const inner = measure(join(path, name));
    bytes += inner.bytes;
    changed = Math.max(changed, inner.changedAt.getTime());
  }
  return { bytes, changedAt: new Date(changed === 0 ? stat.mtime : changed) };
};

const namesIn = (folder: string): string[] => {
  try {
    return readdirSync(folder).sort();
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return [];
    throw cause;
  }
};
