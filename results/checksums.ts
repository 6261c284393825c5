import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { z } from 'zod';
import { sha256Hex } from '../core/canonical-json.js';
import { codeOf, writeFileAtomic } from '../core/files.js';
import { damaged, readRecord, recordText, runPaths } from './run-files.js';

export const checksumsSchema = z.strictObject({
  schemaVersion: z.literal(1),
  algorithm: z.literal('sha256'),
  files: z.record(z.string(), z.strictObject({ sha256: z.string(), bytes: z.number() })),
});

/** Hashes every file of the run directory but its own, hidden files and journals. */
export const writeChecksums = (dir: string): void => {
  const files = Object.fromEntries(
    listFiles(dir).map((name) => {
      const bytes = readFileSync(join(dir, name));
      return [name, { sha256: sha256Hex(bytes), bytes: bytes.length }];
    }),
  );
  writeFileAtomic(runPaths(dir).checksums, recordText({ schemaVersion: 1, algorithm: 'sha256', files }));
};

/**
 * Compares the records (run.json, cells, samples, timings) with checksums.json; generated files are not looked at. A run that has not
 * been closed has no checksums yet and passes: its cells carry the hashes of their samples.
 *
 * Throws: ERR_RECORD — a record is missing, changed, or was added by hand; names the file.
 */
export const verifyRecords = (dir: string): void => {
  const path = runPaths(dir).checksums;
  let listed: z.infer<typeof checksumsSchema>['files'];
  try {
    readFileSync(path);
    listed = readRecord(path, checksumsSchema).files;
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return;
    throw cause;
  }
  const present = new Set(listFiles(dir).filter(isRecord));
  for (const [name, { sha256 }] of Object.entries(listed)) {
    if (!isRecord(name)) continue;
    if (!present.delete(name)) throw damaged(join(dir, name), 'the file that checksums.json lists', 'no file');
    const actual = sha256Hex(readFileSync(join(dir, name)));
    if (actual !== sha256) throw damaged(join(dir, name), `sha256 ${sha256}`, actual);
  }
  const [extra] = present;
  if (extra !== undefined)
    throw damaged(join(dir, extra), 'a file that checksums.json lists', 'a file that was added later');
};

const isRecord = (name: string): boolean => name === 'run.json' || /^(cells|samples|timings)\//.test(name);

const listFiles = (dir: string): string[] => {
  const found: string[] = [];
  const walk = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.name.startsWith('.') || entry.name.endsWith('.partial')) continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile()) found.push(relative(dir, path).split(sep).join('/'));
    }
  };
  walk(dir);
  return found.filter((name) => name !== 'checksums.json').sort();
};
