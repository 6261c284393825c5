/** What a pull left in a dataset's folder: hashes, sources and when, so that later reads need not hash gigabytes anew. */
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../core/files.js';

const pulledSchema = z.record(
  z.string(),
  z.object({
    bytes: z.int().nonnegative(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    /** As the source names itself, with the commit that was fetched. */
    source: z.string(),
    date: z.string(),
    mtimeMs: z.number(),
    inode: z.number(),
  }),
);
export type PulledFile = z.output<typeof pulledSchema>[string];

const recordName = 'pulled.json';

/** By file name; empty where nothing was pulled or the record is damaged. */
export const readPulled = (folder: string): Readonly<Record<string, PulledFile>> => {
  try {
    return pulledSchema.parse(JSON.parse(readFileSync(join(folder, recordName), 'utf8')));
  } catch {
    return {};
  }
};

/** Throws: ERR_DISK. */
export const writePulled = (folder: string, name: string, file: Pick<PulledFile, 'sha256' | 'source'>): void => {
  const { size: bytes, mtimeMs, ino: inode } = statSync(join(folder, name));
  const entry: PulledFile = { bytes, ...file, date: new Date().toISOString(), mtimeMs, inode };
  mkdirSync(folder, { recursive: true });
  const all = { ...readPulled(folder), [name]: entry };
  writeFileAtomic(join(folder, recordName), `${JSON.stringify(all, undefined, 1)}\n`);
};

/** sha256 of a file: the recorded one while the file looks untouched, else read anew. */
export const currentSha256 = (path: string, known: PulledFile | undefined): string => {
  const { size, mtimeMs, ino } = statSync(path);
  if (known !== undefined && known.bytes === size && known.mtimeMs === mtimeMs && known.inode === ino)
    return known.sha256;
  return hashFileSync(path);
};

const chunkBytes = 4 << 20;

/** Throws what the file system throws. */
export const hashFileSync = (path: string): string => {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(chunkBytes);
  const file = openSync(path, 'r');
  try {
    for (;;) {
      const count = readSync(file, chunk, 0, chunkBytes, null);
      if (count === 0) return hash.digest('hex');
      hash.update(chunk.subarray(0, count));
    }
  } finally {
    closeSync(file);
  }
};
