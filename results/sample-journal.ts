import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { canonicalJson } from '../core/canonical-json.js';
import { WinnowError } from '../core/errors.js';
import { codeOf, diskError, syncFolder, writeAll } from '../core/files.js';
import { cellIdSchema, countsSchema, sampleSchema } from './schema.js';

/** What one evaluated prompt gave: a record for each cell that it served, and what it cost. Written as one line, so it is kept as a whole or not at all. */
const entrySchema = z.strictObject({
  counts: countsSchema.partial().optional(),
  samples: z.record(cellIdSchema, z.array(sampleSchema)),
});
export type JournalEntry = z.infer<typeof entrySchema>;

export interface SampleJournal {
  /** Entries that were there when it was opened. */
  readonly entries: readonly JournalEntry[];
  append(entry: JournalEntry): void;
  close(): void;
  remove(): void;
}

/**
 * Opens the plain-text journal of samples whose cells are not finished. A last line without its end was torn by a kill and is cut off.
 * Every append is on the device when it returns. An append that fails leaves the file as it was.
 *
 * Throws: ERR_RECORD — a line before the last is damaged. ERR_DISK — it cannot be read or written.
 */
export const openJournal = (path: string): SampleJournal => {
  const { entries, bytes } = readJournal(path);
  let length = bytes;
  let file: number | undefined;
  const handle = (): number => {
    if (file !== undefined) return file;
    const opened = openSync(path, 'a');
    ftruncateSync(opened, length);
    syncFolder(dirname(path));
    file = opened;
    return opened;
  };
  const close = (): void => {
    if (file !== undefined) closeSync(file);
    file = undefined;
  };
  return {
    entries,
    append(entry) {
      const line = Buffer.from(`${canonicalJson(entrySchema.parse(entry))}\n`);
      try {
        const opened = handle();
        try {
          writeAll(opened, line);
          fsyncSync(opened);
        } catch (cause) {
          ftruncateSync(opened, length);
          throw cause;
        }
        length += line.length;
      } catch (cause) {
        throw diskError(path, cause);
      }
    },
    close,
    remove() {
      close();
      rmSync(path, { force: true });
    },
  };
};

/** Reads what is whole; never writes. Throws as `openJournal` does. */
export const readJournal = (path: string): { entries: JournalEntry[]; bytes: number } => {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return { entries: [], bytes: 0 };
    throw diskError(path, cause);
  }
  const entries: JournalEntry[] = [];
  let start = 0;
  for (let end = content.indexOf(10); end >= 0; end = content.indexOf(10, start)) {
    const entry = parseLine(content.subarray(start, end).toString());
    if (entry === undefined) {
      // After a power cut the last line may have its end but not its middle.
      if (end === content.length - 1) break;
      const line = entries.length + 1;
      throw new WinnowError(
        'ERR_RECORD',
        `${path}:${line}`,
        'a sample record',
        'a damaged line',
        `Remove the file from line ${line} on; those samples are then evaluated again.`,
      );
    }
    entries.push(entry);
    start = end + 1;
  }
  return { entries, bytes: start };
};

const parseLine = (line: string): JournalEntry | undefined => {
  try {
    return entrySchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
};
