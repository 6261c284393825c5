import { existsSync, statSync } from 'node:fs';
import { WinnowError } from '../core/errors.js';
import { listIds, readCellRecord, readRunRecord, runPaths } from './run-files.js';
import { writerOf } from './run-lock.js';
import { readJournal } from './sample-journal.js';
import type { CellRecord, RunStatus } from './schema.js';

export interface RunState {
  readonly id: string;
  /** As run.json has it; `running` without a writer is a run that was killed. */
  readonly status: RunStatus;
  readonly writer?: { readonly host: string; readonly pid: number };
  readonly cells: { readonly planned: number; readonly finished: number } & Readonly<
    Record<CellRecord['status'], number>
  >;
  /** Samples of unfinished cells that are safe on disk, over all their cells. */
  readonly pendingSamples: number;
  readonly createdAt: string;
  readonly finishedAt?: string;
  /** When a record was last written. */
  readonly changedAt: string;
  readonly command: string;
}

/**
 * Where a run stands. Reads only, so it is safe while the run is being written; a record that is replaced meanwhile is read old or new.
 *
 * Throws ERR_MISSING for a folder that is no run, ERR_RECORD for damaged records.
 */
export const runState = (dir: string): RunState => {
  const paths = runPaths(dir);
  if (!existsSync(paths.run))
    throw new WinnowError(
      'ERR_MISSING',
      dir,
      'a run directory',
      'no run.json',
      'Give the folder that winnow run wrote.',
    );
  const run = readRunRecord(dir);
  const finished = listIds(paths.cells, '.json');
  const byStatus = { ok: 0, failed: 0, unsupported: 0, 'out-of-memory': 0 };
  for (const id of finished) byStatus[readCellRecord(dir, id).status]++;
  const known = new Set(finished);
  const pending = new Set<string>();
  for (const { samples } of readJournal(paths.journal).entries)
    for (const [cellId, records] of Object.entries(samples))
      if (!known.has(cellId)) for (const { sampleId } of records) pending.add(`${cellId} ${sampleId}`);
  const writer = writerOf(dir);
  const planned = run.configuration.cells;
  return {
    id: run.id,
    status: run.status,
    ...(writer === undefined ? {} : { writer }),
    cells: {
      planned: Array.isArray(planned) ? planned.length : finished.length,
      finished: finished.length,
      ...byStatus,
    },
    pendingSamples: pending.size,
    createdAt: run.createdAt,
    ...(run.finishedAt === undefined ? {} : { finishedAt: run.finishedAt }),
    changedAt: new Date(lastChange([paths.run, paths.cells, paths.journal])).toISOString(),
    command: run.command,
  };
};

const lastChange = (paths: readonly string[]): number =>
  Math.max(...paths.map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0));

/** One word for what is going on. */
export const stateWord = ({ status, writer }: Pick<RunState, 'status' | 'writer'>): string => {
  if (writer !== undefined) return 'running';
  return status === 'running' ? 'killed' : status;
};
