import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { WinnowError } from './errors.js';

/**
 * Puts `data` at `path` as a whole or not at all: temporary file beside it, fsync, rename, fsync of the folder. With `folderLater` the
 * caller syncs the folder itself once it has written several files; until then a power cut may take the new file back.
 *
 * Throws: ERR_DISK — no space, no permission or a failing device; what stood at `path` before is untouched.
 */
export const writeFileAtomic = (
  path: string,
  data: string | Uint8Array,
  { folderLater = false }: { readonly folderLater?: boolean } = {},
): void => {
  const temporary = join(dirname(path), `${temporaryPrefix}${process.pid}.${basename(path)}`);
  try {
    const file = openSync(temporary, 'w');
    try {
      writeAll(file, typeof data === 'string' ? Buffer.from(data) : data);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    if (!folderLater) syncFolder(dirname(path));
  } catch (cause) {
    try {
      unlinkSync(temporary);
    } catch {
      // It may not exist; the first error is the one to tell.
    }
    throw diskError(path, cause);
  }
};

/** Writes every byte: one `write` may store only a part when a device fills up. */
export const writeAll = (file: number, bytes: Uint8Array): void => {
  let written = 0;
  while (written < bytes.length) written += writeSync(file, bytes, written);
};

/** Makes a rename or a new file in `folder` survive a power cut. */
export const syncFolder = (folder: string): void => {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } catch (cause) {
    // Some network file systems refuse fsync on folders; the rename itself is still atomic there.
    if (codeOf(cause) !== 'EINVAL') throw cause;
  } finally {
    closeSync(handle);
  }
};

/** Removes temporary files that a killed process left in `folder`. Call it only while holding the lock of that folder. */
export const removeTemporaryFiles = (folder: string): void => {
  try {
    for (const name of readdirSync(folder)) if (name.startsWith(temporaryPrefix)) rmSync(join(folder, name));
  } catch (cause) {
    throw diskError(folder, cause);
  }
};

/** The error of a failed file operation as one ERR_DISK with the path and what to do; other errors pass unchanged. */
export const diskError = (path: string, cause: unknown): unknown => {
  const fix = diskFixes[codeOf(cause) ?? ''];
  if (fix === undefined) return cause;
  return new WinnowError('ERR_DISK', path, 'to write it', `${codeOf(cause)} (${fix.meaning})`, fix.advice);
};

export const codeOf = (cause: unknown): string | undefined =>
  cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;

const temporaryPrefix = '.tmp-';

const again = 'then run the same command again: finished work is kept.';
const diskFixes: Readonly<Record<string, { readonly meaning: string; readonly advice: string }>> = {
  ENOSPC: {
    meaning: 'no space left on the device',
    advice: `Free some space, or choose another folder with --out, ${again}`,
  },
  EDQUOT: {
    meaning: 'disk quota exceeded',
    advice: `Free some of your quota, or choose another folder with --out, ${again}`,
  },
  EFBIG: { meaning: 'file size limit reached', advice: `Raise the limit (ulimit -f), ${again}` },
  EROFS: { meaning: 'read-only file system', advice: 'Choose a folder that can be written with --out.' },
  EACCES: {
    meaning: 'permission denied',
    advice: 'Choose a folder that you may write with --out, or change its permissions.',
  },
  EPERM: {
    meaning: 'operation not permitted',
    advice: 'Choose a folder that you may write with --out, or change its permissions.',
  },
  ENOTDIR: { meaning: 'a part of the path is a file', advice: 'Choose another folder with --out.' },
  EIO: {
    meaning: 'the device reports an error',
    advice: `Check the device, or choose another folder with --out, ${again}`,
  },
  EMFILE: { meaning: 'too many open files', advice: `Raise the limit (ulimit -n), ${again}` },
};
