/** Brings a file of known hash into the cache from the first source that has it: whole and checked, or not at all. */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { WinnowError } from '../core/errors.js';
import { codeOf, writeAll } from '../core/files.js';

export interface DownloadTarget {
  /** Where the file will be. */
  readonly path: string;
  /** Absent when nobody knows it before; then `limitBytes` alone bounds what a source may send. */
  readonly bytes?: number;
  readonly limitBytes?: number;
  /** Absent when the source alone knows it; then only the length is checked. */
  readonly sha256?: string;
}

export interface DownloadProgress {
  readonly source: string;
  readonly receivedBytes: number;
  /** 0 when it is not known. */
  readonly totalBytes: number;
}
export type OnProgress = (progress: DownloadProgress) => void;

/** Takes the bytes in order. Throws as soon as there are more than the file should have. */
export interface PartialFile {
  write(chunk: Uint8Array): void;
}

export interface DownloadSource {
  /** As messages name it. */
  readonly name: string;
  fetch(into: PartialFile): Promise<void>;
}

/**
 * Throws: ERR_DISK at once when the cache cannot be written; ERR_UNREACHABLE with the cause of every source when all fail.
 * Safe beside other processes that fetch the same file: each writes its own partial file, and the rename is atomic.
 */
export async function download(
  target: DownloadTarget,
  sources: readonly DownloadSource[],
  onProgress: OnProgress,
): Promise<void> {
  const folder = dirname(target.path);
  onDisk(folder, () => mkdirSync(folder, { recursive: true }));
  removeStale(target.path);
  const failures: string[] = [];
  for (const source of sources) {
    const partial = `${target.path}.partial-${process.pid}-${randomBytes(4).toString('hex')}`;
    try {
      await fetchInto(partial, target, source, onProgress);
      onDisk(target.path, () => renameSync(partial, target.path));
      return;
    } catch (error) {
      rmSync(partial, { force: true });
      if (error instanceof WinnowError && (error.code === 'ERR_DISK' || error.code === 'ERR_INTERRUPTED')) throw error;
      failures.push(`${source.name}: ${describeFailure(error)}`);
    }
  }
  throw new WinnowError(
    'ERR_UNREACHABLE',
    basename(target.path),
    `the file from one of ${sources.length} sources`,
    `${failures.length} failures`,
    `${failures.join('; ')}. By hand: put the file${target.sha256 === undefined ? '' : ` with sha256 ${target.sha256}`} at ${target.path} and run the command again.`,
  );
}

async function fetchInto(
  partial: string,
  target: DownloadTarget,
  source: DownloadSource,
  onProgress: OnProgress,
): Promise<void> {
  const hash = createHash('sha256');
  let receivedBytes = 0;
  const limit = target.bytes ?? target.limitBytes ?? 0;
  const file = onDisk(partial, () => openSync(partial, 'w'));
  try {
    await source.fetch({
      write(chunk) {
        if (receivedBytes + chunk.length > limit) throw new Error(`more than ${limit} bytes came`);
        onDisk(partial, () => writeAll(file, chunk));
        hash.update(chunk);
        receivedBytes += chunk.length;
        onProgress({ source: source.name, receivedBytes, totalBytes: target.bytes ?? 0 });
      },
    });
  } finally {
    closeSync(file);
  }
  if (receivedBytes !== (target.bytes ?? receivedBytes))
    throw new Error(`${receivedBytes} of ${target.bytes} bytes came`);
  const sha256 = hash.digest('hex');
  if (target.sha256 !== undefined && sha256 !== target.sha256) throw new Error(`its sha256 is ${sha256}`);
}

/** Runs a file operation; a full or forbidden disk becomes ERR_DISK, which no other source can mend. */
export function onDisk<T>(path: string, operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    const code = codeOf(error);
    const isDisk = ['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'EIO', 'EFBIG', 'ENOTDIR', 'EEXIST'].includes(
      code ?? '',
    );
    if (!isDisk) throw error;
    throw new WinnowError(
      'ERR_DISK',
      path,
      'to write it',
      code,
      'Free some space or choose another folder with WINNOW_CACHE.',
    );
  }
}

/** Node hides the reason of a failed fetch in `cause`. One line, no trailing dot. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return `${error.message}${cause}`.replace(/\s+/g, ' ').replace(/\.$/, '').slice(0, 300);
}

/** Partial files that no living download can still be writing. */
const staleMs = 6 * 3_600_000;

function removeStale(path: string): void {
  const folder = dirname(path);
  const prefix = `${basename(path)}.partial-`;
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(prefix)) continue;
    const stat = statSync(join(folder, name), { throwIfNoEntry: false });
    if (stat !== undefined && Date.now() - stat.mtimeMs > staleMs)
      rmSync(join(folder, name), { recursive: true, force: true });
  }
}
