import { asWinnowError, type WinnowError } from '../core/errors.js';
import type { Engine, SampleOutcome, SampleRequest, SettingOutcome } from '../engine/contract.js';
import type { RunCounts, SampleRecord } from '../results/schema.js';
import type { PlannedCell, Sample } from './contract.js';
import type { CellGroup } from './run-groups.js';
import { promptHash, recordOf, type ScoreOf, type StepsOf } from './sample-record.js';

/** What one evaluated prompt gave: a record for each cell it served, and what it cost. */
export interface SampleEntry {
  readonly counts: RunCounts;
  readonly samples: Record<string, SampleRecord[]>;
}

/** Where finished work goes. Everything is on disk when a call returns. */
export interface RunSink {
  isFinished(cellId: string): boolean;
  /** The record of this sample of an unfinished cell, if it is on disk already. */
  sampleOf(cellId: string, sampleId: string): SampleRecord | undefined;
  append(entry: SampleEntry): void;
  finishCell(cellId: string): void;
}

export interface GroupRun {
  readonly group: CellGroup;
  /** The same on every call; read lazily. */
  readonly samples: Iterable<Sample>;
  readonly engine: Pick<Engine, 'evaluate'>;
  readonly sink: RunSink;
  requestOf(sample: Sample, cells: readonly PlannedCell[]): SampleRequest;
  readonly scoreOf: ScoreOf;
  /** Where the task's scorer tells the steps of an answer apart. */
  readonly stepsOf?: StepsOf;
  /** After every sample, also those that were on disk. */
  onSample?(done: SampleDone): void;
  readonly signal?: AbortSignal;
}

export interface SampleDone {
  readonly group: CellGroup;
  readonly sample: Sample;
  /** Settings evaluated now; 0 when all were on disk. */
  readonly settings: number;
}

/**
 * Evaluates every unfinished cell of a group, sample by sample, each sample once for all cells that still need it.
 *
 * A setting that fails ends its own cell. Interrupts and disk errors end the run; all other errors of a whole evaluation end the cells
 * that took part in it. Throws what ends the run; what was appended before stays.
 */
export const runGroup = async (run: GroupRun): Promise<void> => {
  let open = run.group.cells.filter(({ cellId }) => !run.sink.isFinished(cellId));
  if (open.length === 0) return;
  let index = 0;
  for (const sample of run.samples) {
    run.signal?.throwIfAborted();
    const missing = open.filter(({ cellId }) => run.sink.sampleOf(cellId, sample.id) === undefined);
    if (missing.length > 0) {
      const outcome = await evaluate(run, sample, missing);
      run.sink.append(entryOf(run, sample, index, missing, outcome));
    }
    const failed = open.filter(({ cellId }) => run.sink.sampleOf(cellId, sample.id)?.status !== 'ok');
    for (const { cellId } of failed) run.sink.finishCell(cellId);
    open = open.filter((cell) => !failed.includes(cell));
    run.onSample?.({ group: run.group, sample, settings: missing.length });
    if (open.length === 0) return;
    index++;
  }
  for (const { cellId } of open) run.sink.finishCell(cellId);
};

const endsTheRun = (error: WinnowError): boolean => error.code === 'ERR_INTERRUPTED' || error.code === 'ERR_DISK';

const evaluate = async (run: GroupRun, sample: Sample, cells: readonly PlannedCell[]): Promise<SampleOutcome> => {
  try {
    return await run.engine.evaluate(run.requestOf(sample, cells), run.signal);
  } catch (thrown) {
    run.signal?.throwIfAborted();
    const error = asWinnowError(thrown, `sample ${sample.id}`);
    if (endsTheRun(error)) throw error;
    const { code, message } = error;
    const status =
      code === 'ERR_OUT_OF_MEMORY' ? 'out-of-memory' : code === 'ERR_UNSUPPORTED' ? 'unsupported' : 'failed';
    const outcomes = cells.map((cell) => ({ key: cell.cellId, status, error: { code, message } }) as const);
    return { sampleId: sample.id, outcomes, prefills: 0, prefillsUnshared: 0, nativeMs: 0, totalMs: 0 };
  }
};

const entryOf = (
  run: GroupRun,
  sample: Sample,
  index: number,
  cells: readonly PlannedCell[],
  { outcomes, prefills, prefillsUnshared, nativeMs, totalMs }: SampleOutcome,
): SampleEntry => {
  const samples: Record<string, SampleRecord[]> = {};
  const hash = promptHash(sample);
  for (const { cellId } of cells) {
    const outcome = outcomes.find(({ key }) => key === cellId) ?? forgotten(cellId);
    samples[cellId] = [{ ...recordOf(sample, index, outcome, run.scoreOf, run.stepsOf), promptHash: hash }];
  }
  return { counts: { prefills, prefillsUnshared, nativeMs, totalMs }, samples };
};

const forgotten = (key: string): SettingOutcome => {
  const message = `[ERR_INTERNAL] engine: expected an outcome for ${key}, got nothing. This is a bug in Winnow.`;
  return { key, status: 'failed', error: { code: 'ERR_INTERNAL', message } };
};
