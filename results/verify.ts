import { existsSync, readFileSync } from 'node:fs';
import { WinnowError } from '../core/errors.js';
import { cellRows, cellsCsvColumns, csvOf } from './cells-csv.js';
import { runPaths } from './run-files.js';
import { type RunSummary, summariseRun } from './summary.js';
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
export const verifyRun = (dir: string, rescore: Rescore): Verification => verifyAndSummarise(dir, rescore).verification;

/** The same for those who go on with the run: its summary too, where nothing is wrong, so that no interval is drawn twice. */
export const verifyAndSummarise = (
  dir: string,
  rescore: Rescore,
): { readonly verification: Verification; readonly summary?: RunSummary } => {
  if (!existsSync(dir))
    throw new WinnowError('ERR_MISSING', dir, 'a run directory', 'nothing', 'Give the folder that winnow run wrote.');
  const { files, findings } = verifyFolder(dir);
  const checked = files.has('run.json')
    ? verifyRecords(dir, files, rescore)
    : { run: undefined, cells: 0, samples: 0, rescored: 0, findings: [] };
  const { run, cells, samples, rescored } = checked;
  const all = [...findings, ...checked.findings];
  const summary = all.length === 0 ? summaryOf(dir, all) : undefined;
  if (summary !== undefined && files.has('cells.csv')) all.push(...checkTable(dir, summary));
  const verification = { dir, ...(run === undefined ? {} : { id: run.id }), cells, samples, rescored, findings: all };
  return { verification, ...(summary === undefined || all.length > 0 ? {} : { summary }) };
};

const summaryOf = (dir: string, findings: Finding[]): RunSummary | undefined => {
  try {
    return summariseRun(dir);
  } catch (error) {
    findings.push({ where: 'records', problem: problemText(error) });
    return undefined;
  }
};

/** A table of an older version lacks the columns that were added at the end since. */
const checkTable = (dir: string, summary: RunSummary): Finding[] => {
  const text = readFileSync(runPaths(dir).csv, 'utf8');
  const columns = cellsCsvColumns.slice(0, text.slice(0, text.indexOf('\n')).split(',').length);
  const rows = cellRows(summary).map((row) => row.slice(0, columns.length));
  return columns.length >= FEWEST_COLUMNS && text === csvOf(columns, rows)
    ? []
    : [{ where: 'cells.csv', problem: 'is not the table of these records' }];
};
/** Those up to `error`, which the first version had. */
const FEWEST_COLUMNS = 36;
