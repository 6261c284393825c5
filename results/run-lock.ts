import { closeSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { sha256Hex } from '../core/canonical-json.js';
import { WinnowError } from '../core/errors.js';
import { codeOf, diskError, syncFolder, writeAll } from '../core/files.js';

export interface RunLock {
  release(): void;
}

const ownerSchema = z.object({ host: z.string(), pid: z.number().int().positive(), started: z.string() });
type Owner = z.infer<typeof ownerSchema>;

/**
 * Makes this process the only writer of `folder`.
 *
 * Each contender first puts down a file that names it, then looks for others: of two that start at once at least one sees the other, so
 * there are never two writers (both may step back). Files of dead processes of this machine are removed. A process counts as dead when
 * its pid is free or belongs to a process that started at another time.
 *
 * Throws: ERR_LOCKED — another process writes this folder, or one on another machine may. ERR_DISK — the folder cannot be written.
 */
export const lockRun = (folder: string): RunLock => {
  const self: Owner = { host: hostname(), pid: process.pid, started: startOf(process.pid) ?? 'unknown' };
  const name = `${lockPrefix}${self.pid}-${sha256Hex(self.host).slice(0, 8)}`;
  const path = join(folder, name);
  if (readOwner(path)?.started === self.started) throw locked(folder, path, self);
  try {
    // A file of this name can only be the left-over of a dead process with the same pid.
    rmSync(path, { force: true });
    const file = openSync(path, 'wx');
    try {
      writeAll(file, Buffer.from(`${JSON.stringify(self)}\n`));
    } finally {
      closeSync(file);
    }
    syncFolder(folder);
  } catch (cause) {
    rmSync(path, { force: true });
    throw diskError(path, cause);
  }
  const release = (): void => rmSync(path, { force: true });
  for (const other of readdirSync(folder)) {
    if (!other.startsWith(lockPrefix) || other === name) continue;
    const otherPath = join(folder, other);
    const owner = readOwner(otherPath);
    if (owner === undefined) continue;
    if (owner.host !== self.host || isAlive(owner)) {
      release();
      throw locked(folder, otherPath, owner);
    }
    rmSync(otherPath, { force: true });
  }
  return { release };
};

/** The live process that writes `folder`, or one on another machine that may; never writes. */
export const writerOf = (folder: string): { readonly host: string; readonly pid: number } | undefined => {
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(lockPrefix)) continue;
    const owner = readOwner(join(folder, name));
    if (owner !== undefined && (owner.host !== hostname() || isAlive(owner)))
      return { host: owner.host, pid: owner.pid };
  }
  return undefined;
};

export const isLockFile = (name: string): boolean => name.startsWith(lockPrefix);
const lockPrefix = '.lock-';

const locked = (folder: string, path: string, owner: Owner): WinnowError =>
  new WinnowError(
    'ERR_LOCKED',
    folder,
    'to be the only process that writes this run',
    `process ${owner.pid} on ${owner.host}`,
    owner.host === hostname() ? 'Wait until it ends, or stop it.' : `If it no longer runs there, remove ${path}.`,
  );

/** Undefined when the file has just gone. A file that is still empty belongs to a process that is just starting: it counts as alive. */
const readOwner = (path: string): Owner | undefined => {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw diskError(path, cause);
  }
  try {
    return ownerSchema.parse(JSON.parse(content));
  } catch {
    const pid = Number(/^\.lock-(\d+)-/.exec(path.slice(path.lastIndexOf('.lock-')))?.[1] ?? 1);
    return { host: hostname(), pid, started: startOf(pid) ?? 'unknown' };
  }
};

const isAlive = ({ pid, started }: Owner): boolean => {
  try {
    process.kill(pid, 0);
  } catch (cause) {
    if (codeOf(cause) === 'ESRCH') return false;
  }
  const now = startOf(pid);
  return now === undefined || started === 'unknown' || now === started;
};

/** Boot and start time of a process, where the system tells (Linux): a pid that was given out again has another one. */
const startOf = (pid: number): string | undefined => {
  try {
    const afterName = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '');
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${afterName.split(' ')[19]}`;
  } catch {
    return undefined;
  }
};
