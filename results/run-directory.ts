import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { contentHash, sha256Hex } from '../core/canonical-json.js';
import { diskError, removeTemporaryFiles, syncFolder, writeFileAtomic } from '../core/files.js';
import { createBootstrap } from '../core/statistics-bootstrap.js';
import { aggregateCell } from './aggregate.js';
import { verifyRecords, writeChecksums } from './checksums.js';
import { openPendingSamples, type SamplesByCell } from './pending-samples.js';
import { collectProvenance, type Provenance } from './provenance.js';
import {
  encodeSamples,
  listIds,
  readCellRecord,
  readCellSamples,
  readRunRecord,
  recordText,
  runPaths,
} from './run-files.js';
import { lockRun } from './run-lock.js';
import {
  closedRecord,
  continued,
  firstRecord,
  type RunIdentity,
  refuseFinished,
  refuseForeignFolder,
  refuseOtherConfiguration,
  reopened,
} from './run-record.js';
import {
  type CellFacts,
  type CellRecord,
  cellSchema,
  type RunCounts,
  type RunRecord,
  type RunStatus,
  runSchema,
  type SampleRecord,
  type TimingPass,
  timingPassSchema,
} from './schema.js';

export interface OpenRunOptions extends RunIdentity {
  readonly dir: string;
  readonly provenance?: Provenance;
  readonly now?: () => Date;
}

/** A run directory that this process alone writes. After a kill at any instant the next `openRun` finds all but the sample in flight. */
export interface Run {
  readonly dir: string;
  /** True when the folder held a run of the same configuration already. */
  readonly resumed: boolean;
  /** Cells whose record stands; they are never written again. */
  readonly finished: ReadonlySet<string>;
  readonly finishedPasses: ReadonlySet<string>;
  /** Samples recorded so far for an unfinished cell, by index. */
  samples(cellId: string): readonly SampleRecord[];
  /** The record of one sample of an unfinished cell, if there is one. */
  sampleOf(cellId: string, sampleId: string): SampleRecord | undefined;
  appendSamples(cellId: string, records: readonly SampleRecord[]): void;
  /** One evaluated prompt as a whole: its record for every cell that it served, and what it cost. Prefer it: one write for all cells. */
  appendPrompt(samples: SamplesByCell, counts?: Partial<RunCounts>): void;
  /** Aggregates the samples of a cell and writes its files. `unsampled` is the reason of a cell that could not be run at all. */
  finishCell(
    cell: CellFacts,
    unsampled?: {
      readonly status: 'failed' | 'unsupported' | 'out-of-memory';
      readonly error: { readonly code: string; readonly message: string };
    },
  ): CellRecord;
  /** Times of one interleaved pass; a pass that was cut short is run again as a whole. */
  finishPass(
    passId: string,
    timings: TimingPass['timings'],
    how?: Pick<TimingPass, 'device' | 'load' | 'protocol' | 'batches'>,
  ): void;
  readonly counts: Readonly<RunCounts>;
  /**
   * Writes run.json and checksums.json and gives the folder free. `failure` is the code of the error that ended a failed run. Without it
   * the lock dies with the process.
   */
  close(status: Exclude<RunStatus, 'running'>, failure?: string): void;
}

/** The name that the same suite and configuration always get, so that the same command finds its run again. */
export const runIdOf = (suiteId: string, configuration: Readonly<Record<string, unknown>>): string =>
  `${suiteId.replace(/[^A-Za-z0-9._-]/g, '-')}-${contentHash(configuration).slice(0, 10)}`;

/**
 * Opens or resumes the run in `dir`.
 *
 * Throws: ERR_LOCKED — another process writes it. ERR_RECORD — it holds another configuration, something else, or damaged records.
 * ERR_DISK — it cannot be written.
 */
export const openRun = (options: OpenRunOptions): Run => {
  const { dir, now = () => new Date() } = options;
  const paths = runPaths(dir);
  try {
    mkdirSync(dir, { recursive: true });
  } catch (cause) {
    throw diskError(dir, cause);
  }
  const lock = lockRun(dir);
  try {
    return openLocked(options, paths, now, lock.release);
  } catch (cause) {
    lock.release();
    throw diskError(dir, cause);
  }
};

const openLocked = (
  options: OpenRunOptions,
  paths: ReturnType<typeof runPaths>,
  now: () => Date,
  release: () => void,
): Run => {
  const { dir } = options;
  const provenance = options.provenance ?? collectProvenance();
  const resumed = existsSync(paths.run);
  prepareFolders(options, resumed);
  const stored = resumed ? readRunRecord(dir) : undefined;
  let record: RunRecord = stored ? continued(stored, provenance, now) : firstRecord(options, provenance, now);
  let isWritten = record === stored;
  const write = (next: RunRecord): void => {
    rmSync(paths.checksums, { force: true });
    writeFileAtomic(paths.run, recordText(runSchema.parse(next)));
    record = next;
    isWritten = true;
  };
  if (!resumed) write(record);

  const finished = new Set(listIds(paths.cells, '.json'));
  const finishedPasses = new Set(listIds(paths.timings, '.json'));
  for (const cellId of finished) readCellSamples(dir, readCellRecord(dir, cellId));
  const { prefills, prefillsUnshared, nativeMs, totalMs, statistics } = record;
  const pending = openPendingSamples(paths.journal, finished, { prefills, prefillsUnshared, nativeMs, totalMs });
  const bootstrap = createBootstrap({ seed: statistics.seed, draws: statistics.draws, level: statistics.level });
  let isOpen = true;

  /** Before anything changes: the record says that the run goes on, and checksums that would soon be wrong are gone. */
  const markRunning = (): void => {
    if (!isWritten || record.status !== 'running' || existsSync(paths.checksums)) write(reopened(record));
  };
  const appendPrompt: Run['appendPrompt'] = (samples, counts) => {
    for (const cellId of Object.keys(samples)) refuseFinished(finished, cellId, paths.cell(cellId));
    markRunning();
    pending.append(samples, counts);
  };

  return {
    dir,
    resumed,
    finished,
    finishedPasses,
    samples: pending.of,
    sampleOf: pending.sampleOf,
    appendSamples: (cellId, records) => appendPrompt({ [cellId]: records }),
    appendPrompt,
    finishCell(cell, unsampled) {
      refuseFinished(finished, cell.cellId, paths.cell(cell.cellId));
      const samples = pending.of(cell.cellId);
      const bytes = encodeSamples(samples);
      const outcome = unsampled === undefined ? aggregateCell(samples, bootstrap) : { ...unsampled, n: 0 };
      const cellRecord = cellSchema.parse({ schemaVersion: 1, cell, ...outcome, samplesSha256: sha256Hex(bytes) });
      markRunning();
      // The journal holds these samples until the folders are synced at the end.
      writeFileAtomic(paths.cellSamples(cell.cellId), bytes, { folderLater: true });
      writeFileAtomic(paths.cell(cell.cellId), recordText(cellRecord), { folderLater: true });
      finished.add(cell.cellId);
      pending.forget(cell.cellId);
      return cellRecord;
    },
    finishPass(passId, timings, how = {}) {
      refuseFinished(finishedPasses, passId, paths.timing(passId));
      const pass = timingPassSchema.parse({ schemaVersion: 1, passId, machine: provenance.machine, ...how, timings });
      markRunning();
      writeFileAtomic(paths.timing(passId), recordText(pass));
      finishedPasses.add(passId);
    },
    get counts() {
      return pending.counts;
    },
    close(status, failure) {
      if (!isOpen) return;
      isOpen = false;
      try {
        for (const folder of [paths.samples, paths.cells]) syncFolder(folder);
        const isUnchanged = isWritten && record.status === status && existsSync(paths.checksums);
        if (!isUnchanged) write(closedRecord(record, status, pending.counts, now(), failure));
        // After run.json: a kill in between leaves a journal that holds the same counts, and the journal is the one that is read.
        pending.close();
        if (!isUnchanged) writeChecksums(dir);
      } catch (cause) {
        throw diskError(dir, cause);
      } finally {
        release();
      }
    },
  };
};

const prepareFolders = (options: OpenRunOptions, resumed: boolean): void => {
  const { dir } = options;
  const paths = runPaths(dir);
  if (resumed) {
    refuseOtherConfiguration(dir, options);
    verifyRecords(dir);
  } else refuseForeignFolder(dir);
  const folders = [paths.cells, paths.samples, paths.timings, paths.charts];
  for (const folder of folders) mkdirSync(folder, { recursive: true });
  for (const folder of [dir, ...folders]) removeTemporaryFiles(folder);
};
