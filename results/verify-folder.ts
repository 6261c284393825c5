/** Checks of a run directory from a stranger before any record in it is believed: names, kinds and sizes of files, and their hashes. */
import { createHash } from 'node:crypto';
import { closeSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { checksumsSchema } from './checksums.js';
import { readRecord, runPaths } from './run-files.js';

/** One thing that is wrong, and where. */
export interface Finding {
  readonly where: string;
  readonly problem: string;
}

const ID = '[A-Za-z0-9][A-Za-z0-9._-]{0,127}';
const MIB = 2 ** 20;

/** What a run directory may hold, and how large: far above what runs write, far below what hurts. */
const KINDS: readonly (readonly [name: RegExp, mostBytes: number])[] = [
  [/^run\.json$/, 16 * MIB],
  [/^checksums\.json$/, 64 * MIB],
  [/^cells\.csv$/, 256 * MIB],
  [/^report\.md$/, 64 * MIB],
  [new RegExp(`^(cells|timings)/${ID}\\.json$`), 4 * MIB],
  [new RegExp(`^samples/${ID}\\.jsonl\\.gz$`), 256 * MIB],
  [new RegExp(`^charts/${ID}\\.(vl\\.json|svg|png)$`), 16 * MIB],
];
const FOLDERS: readonly string[] = ['cells', 'samples', 'timings', 'charts'];

/** Files that may be read, by name with `/`, and everything that is wrong with names, kinds, sizes and hashes. */
export const verifyFolder = (dir: string): { readonly files: ReadonlySet<string>; readonly findings: Finding[] } => {
  const { files, findings } = listFolder(dir);
  if (!files.has('run.json')) findings.push({ where: 'run.json', problem: 'is missing' });
  if (files.has('checksums.json')) findings.push(...checkHashes(dir, files));
  else
    findings.push({ where: 'checksums.json', problem: 'is missing: the run was not closed, or the file was removed' });
  return { files, findings };
};

const listFolder = (dir: string): { files: Set<string>; findings: Finding[] } => {
  const files = new Set<string>();
  const findings: Finding[] = [];
  const look = (folder: string): void => {
    for (const entry of readdirSync(join(dir, folder), { withFileTypes: true })) {
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory() && folder === '' && FOLDERS.includes(name)) {
        look(name);
        continue;
      }
      const problem = problemOf(dir, name, entry.isFile());
      if (problem === undefined) files.add(name);
      else findings.push({ where: name, problem });
    }
  };
  look('');
  return { files, findings };
};

const problemOf = (dir: string, name: string, isFile: boolean): string | undefined => {
  if (name.endsWith('.partial')) return 'holds samples of unfinished cells: the run has not ended';
  if (!isFile) return 'is a link, a folder or a device: a run directory holds plain files';
  const kind = KINDS.find(([pattern]) => pattern.test(name));
  if (kind === undefined) return 'is no file of a run directory';
  const { size } = lstatSync(join(dir, name));
  return size > kind[1] ? `has ${size} bytes; at most ${kind[1]} are read` : undefined;
};

const checkHashes = (dir: string, files: ReadonlySet<string>): Finding[] => {
  const where = 'checksums.json';
  let listed: Record<string, { sha256: string; bytes: number }>;
  try {
    listed = readRecord(runPaths(dir).checksums, checksumsSchema).files;
  } catch (error) {
    return [{ where, problem: problemText(error) }];
  }
  const findings: Finding[] = [];
  for (const [name, { sha256, bytes }] of Object.entries(listed)) {
    // A name that is not among the files found is never opened, wherever it points.
    if (!files.has(name) || name === where) {
      findings.push({ where: `${where} ${JSON.stringify(name)}`, problem: 'names a file that is not in the folder' });
      continue;
    }
    const { size } = lstatSync(join(dir, name));
    if (size !== bytes) findings.push({ where: name, problem: `has ${size} bytes, checksums.json says ${bytes}` });
    else if (hashOf(join(dir, name)) !== sha256)
      findings.push({ where: name, problem: 'was changed: its sha256 is not the one in checksums.json' });
  }
  for (const name of files)
    if (name !== where && !Object.hasOwn(listed, name))
      findings.push({ where: name, problem: 'is not in checksums.json' });
  return findings;
};

/** In pieces: a file may be as large as its kind allows. */
const hashOf = (path: string): string => {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(MIB);
  const file = openSync(path, 'r');
  try {
    for (let count = readSync(file, buffer); count > 0; count = readSync(file, buffer))
      hash.update(buffer.subarray(0, count));
  } finally {
    closeSync(file);
  }
  return hash.digest('hex');
};

/** An error of reading a record, without its code. */
export const problemText = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/^\[ERR_[A-Z_]+\] /, '');
