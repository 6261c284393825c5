/** Writes a run directory from records that exist already: copies with other scores, and several runs as one. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { WinnowError } from '../core/errors.js';
import { diskError, syncFolder, writeFileAtomic } from '../core/files.js';
import { writeChecksums } from './checksums.js';
import { encodeSamples, recordText, runPaths } from './run-files.js';
import { lockRun } from './run-lock.js';
import {
  type CellRecord,
  cellSchema,
  type RunRecord,
  runSchema,
  type SampleRecord,
  type TimingPass,
  timingPassSchema,
} from './schema.js';

export interface RunRecords {
  readonly run: RunRecord;
  readonly cells: readonly { readonly record: CellRecord; readonly samples: readonly SampleRecord[] }[];
  readonly timings: readonly TimingPass[];
}

/**
 * Writes all records into `dir`, run.json last but for the checksums: a kill leaves a folder that is no run.
 *
 * Throws ERR_RECORD for a folder that holds something, ERR_DISK.
 */
export const writeRunRecords = (dir: string, { run, cells, timings }: RunRecords): void => {
  if (existsSync(dir) && readdirSync(dir).length > 0)
    throw new WinnowError('ERR_RECORD', dir, 'an empty folder', 'files', 'Choose another folder with --out.');
  const paths = runPaths(dir);
  try {
    for (const folder of [paths.cells, paths.samples, paths.timings, paths.charts])
      mkdirSync(folder, { recursive: true });
    const lock = lockRun(dir);
    try {
      for (const { record, samples } of cells) {
        const { cellId } = record.cell;
        writeFileAtomic(paths.cellSamples(cellId), encodeSamples(samples), { folderLater: true });
        writeFileAtomic(paths.cell(cellId), recordText(cellSchema.parse(record)), { folderLater: true });
      }
      for (const pass of timings)
        writeFileAtomic(paths.timing(pass.passId), recordText(timingPassSchema.parse(pass)), { folderLater: true });
      for (const folder of [paths.cells, paths.samples, paths.timings]) syncFolder(folder);
      writeFileAtomic(paths.run, recordText(runSchema.parse(run)));
      writeChecksums(dir);
    } finally {
      lock.release();
    }
  } catch (cause) {
    throw diskError(dir, cause);
  }
};
