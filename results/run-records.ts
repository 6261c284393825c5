import { existsSync } from 'node:fs';
import { WinnowError } from '../core/errors.js';
import { verifyRecords } from './checksums.js';
import { listIds, readCellRecord, readCellSamples, readRunRecord, readTimingPass, runPaths } from './run-files.js';
import type { CellRecord, RunRecord, SampleRecord, TimingPass } from './schema.js';

export interface CellWithSamples {
  readonly record: CellRecord;
  readonly samples: readonly SampleRecord[];
}

/** Everything that a run directory records, as it stands there. */
export interface RunRecords {
  readonly dir: string;
  readonly run: RunRecord;
  readonly cells: readonly CellWithSamples[];
  readonly passes: readonly TimingPass[];
}

/**
 * Reads a run directory and checks it against its checksums.
 *
 * Throws: ERR_MISSING — no run is there. ERR_RECORD — a record is missing, damaged or changed; names the file.
 */
export const readRunRecords = (dir: string): RunRecords => {
  const paths = runPaths(dir);
  if (!existsSync(paths.run)) throw noRun(dir);
  const run = readRunRecord(dir);
  verifyRecords(dir);
  const records = listIds(paths.cells, '.json').map((cellId) => readCellRecord(dir, cellId));
  return {
    dir,
    run,
    cells: records.map((record) => ({ record, samples: readCellSamples(dir, record) })),
    passes: listIds(paths.timings, '.json').map((passId) => readTimingPass(dir, passId)),
  };
};

export const noRun = (dir: string): WinnowError =>
  new WinnowError(
    'ERR_MISSING',
    dir,
    'a run directory (a folder with run.json)',
    'no run.json',
    'Give the folder that winnow run wrote with --out, or one below results/runs.',
  );
