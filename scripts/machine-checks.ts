import { constants } from 'node:fs';
import { access, readFile, stat, statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

/** One thing `winnow doctor` looked at. `advice` says what to change; it is there whenever the state is not `ok`. */
export interface MachineCheck {
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'problem';
  readonly found: string;
  readonly advice?: string;
}

const GIB = 2 ** 30;
/** A 4k run of the default model needs its weights (0.1 GiB), the cache and about 0.4 GiB more. */
const ENOUGH_MEMORY_BYTES = 1.5 * GIB;
/** The default model, a run directory and the native build together stay well below this. */
const ENOUGH_DISK_BYTES = 1 * GIB;

const gib = (bytes: number): string => `${(bytes / GIB).toFixed(1)} GiB`;

export const checkNode = (version: string = process.versions.node): MachineCheck => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isEnough = major > 20 || (major === 20 && minor >= 19);
  const found = `${version} on ${process.platform}-${process.arch}`;
  if (!isEnough) return { name: 'node', state: 'problem', found, advice: 'Install Node.js 20.19 or newer.' };
  return { name: 'node', state: 'ok', found };
};

export const checkMemory = async (): Promise<MachineCheck> => {
  const available = await availableMemory();
  const found = `${gib(available)} of ${gib(os.totalmem())} available`;
  if (available >= ENOUGH_MEMORY_BYTES) return { name: 'memory', state: 'ok', found };
  const advice = `Close other programs: a 4k run of the default model wants ${gib(ENOUGH_MEMORY_BYTES)}.`;
  return { name: 'memory', state: 'warning', found, advice };
};

/** os.freemem() does not count what the kernel can drop. */
const availableMemory = async (): Promise<number> => {
  try {
    const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1];
    return kib === undefined ? os.freemem() : Number(kib) * 1024;
  } catch {
    return os.freemem();
  }
};

/** Free space and the right to write, in the folder or the nearest one above it that exists. */
export const checkFolder = async (name: string, folder: string): Promise<MachineCheck> => {
  const existing = await nearestFolder(folder);
  try {
    await access(existing, constants.W_OK);
  } catch {
    return {
      name,
      state: 'problem',
      found: `${folder} cannot be written`,
      advice: `Give yourself write access to ${existing}.`,
    };
  }
  const { bavail, bsize } = await statfs(existing);
  const found = `${folder}, ${gib(bavail * bsize)} free`;
  if (bavail * bsize >= ENOUGH_DISK_BYTES) return { name, state: 'ok', found };
  return { name, state: 'warning', found, advice: `Free some space: ${gib(ENOUGH_DISK_BYTES)} is comfortable.` };
};

const nearestFolder = async (folder: string): Promise<string> => {
  try {
    await stat(folder);
    return folder;
  } catch {
    return nearestFolder(path.dirname(folder));
  }
};

export const checkFonts = async (): Promise<MachineCheck> => {
  try {
    const { size } = await stat(new URL(import.meta.resolve('dejavu-fonts-ttf/ttf/DejaVuSans.ttf')));
    return { name: 'fonts', state: 'ok', found: `DejaVu Sans, ${size} bytes` };
  } catch {
    const advice = 'Run npm ci: without a font the PNG charts have no text.';
    return { name: 'fonts', state: 'problem', found: 'DejaVu Sans is not installed', advice };
  }
};

export const checkCores = (): MachineCheck => {
  const cores = os.availableParallelism();
  const [load = 0] = os.loadavg();
  const found = `${cores} cores, ${os.cpus()[0]?.model.trim() ?? 'unknown'}, load ${load.toFixed(1)}`;
  if (load < cores * 0.5 + 0.5) return { name: 'processor', state: 'ok', found };
  return { name: 'processor', state: 'warning', found, advice: 'Other programs are busy: timings will be noisy.' };
};
