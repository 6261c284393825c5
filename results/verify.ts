import { existsSync, readFileSync } from 'node:fs';
import { WinnowError } from '../core/errors.js';
import { cellsCsv } from './cells-csv.js';
import { runPaths } from './run-files.js';
import { summariseRun } from './summary.js';
import { type Finding, problemText, verifyFolder } from './verify-folder.js';
import { type Rescore, verifyRecords } from './verify-records.js';

export type { Finding, Rescore };

export interface Verification {
  readonly dir: string;
  readonly id?: string;
  readonly cells: number;
  readonly samples: number;
  readonly rescored: number;
  /** Empty: the run is what it says. */
  readonly findings: readonly Finding[];
}

/**
 * Checks a run directory that may come from a stranger: names, kinds, sizes and hashes of files; schemas; that configuration, cells and
 * samples belong together; every score from its saved output, every mean and interval from the scores, and cells.csv from the records.
 * What a model would have answered is not checked: that takes `winnow rerun`.
 *
 * Never writes, never follows a link, never opens a file by a name from a record. Throws ERR_MISSING without a folder.
 */
export const verifyRun = (dir: string, rescore: Rescore): Verification => {
  if (!existsSync(dir))
    throw new WinnowError('ERR_MISSING', dir, 'a run directory', 'nothing', 'Give the folder that winnow run wrote.');
  const { files, findings } = verifyFolder(dir);
  const checked = files.has('run.json')
    ? verifyRecords(dir, files, rescore)
    : { run: undefined, cells: 0, samples: 0, rescored: 0, findings: [] };
  const { run, cells, samples, rescored } = checked;
  const all = [...findings, ...checked.findings];
  if (all.length === 0 && files.has('cells.csv')) all.push(...checkTable(dir));
  return { dir, ...(run === undefined ? {} : { id: run.id }), cells, samples, rescored, findings: all };
};

const checkTable = (dir: string): Finding[] => {
  const where = 'cells.csv';
  try {
    return readFileSync(runPaths(dir).csv, 'utf8') === cellsCsv(summariseRun(dir))
      ? []
      : [{ where, problem: 'is not the table of these records' }];
  } catch (error) {
    return [{ where, problem: problemText(error) }];
  }
};
