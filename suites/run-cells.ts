import { asWinnowError, type WinnowError } from '../core/errors.js';
import type { Engine, SampleOutcome, SampleRequest, SettingOutcome, SettingResult } from '../engine/contract.js';
import type { PlannedCell, Sample } from './contract.js';
import type { CellGroup } from './run-groups.js';

/** Why a cell has no score: what its setting threw. */
export interface CellFailure {
  readonly status: 'failed' | 'unsupported' | 'out-of-memory';
  readonly error: { readonly code: string; readonly message: string };
}

/** Where finished work goes. Everything is on disk when a call returns. */
export interface CellSink {
  isFinished(cell: PlannedCell): boolean;
  /** Whether this sample of an unfinished cell is on disk already. */
  hasSample(cell: PlannedCell, sampleId: string): boolean;
  addSample(cell: PlannedCell, sample: Sample, result: SettingResult): void | Promise<void>;
  finishCell(cell: PlannedCell, failure?: CellFailure): void | Promise<void>;
}

export interface GroupRun {
  readonly group: CellGroup;
  /** Same samples on every call; read lazily. */
  readonly samples: Iterable<Sample>;
  readonly engine: Pick<Engine, 'evaluate'>;
  readonly sink: CellSink;
  requestOf(sample: Sample, cells: readonly PlannedCell[]): SampleRequest;
  /** After every sample, also those that were on disk: how many cells were open, and what the engine counted. */
  onSample?(sample: Sample, cells: readonly PlannedCell[], outcome: SampleOutcome | undefined): void;
  readonly signal?: AbortSignal;
}

/** What the group's evaluations cost, summed over its samples. */
export interface EngineTotals {
  prefills: number;
  prefillsUnshared: number;
  nativeMs: number;
  totalMs: number;
}

/**
 * Evaluates every unfinished cell of a group, sample by sample, each sample once for all cells that still need it.
 *
 * A setting that fails ends its own cell. Interrupts and disk errors end the run; all other errors of a whole evaluation end the cells
 * that took part in it. Throws what ends the run.
 */
export const runGroup = async (run: GroupRun): Promise<EngineTotals> => {
  const totals: EngineTotals = { prefills: 0, prefillsUnshared: 0, nativeMs: 0, totalMs: 0 };
  let open = run.group.cells.filter((cell) => !run.sink.isFinished(cell));
  if (open.length === 0) return totals;
  for (const sample of run.samples) {
    run.signal?.throwIfAborted();
    const missing = open.filter((cell) => !run.sink.hasSample(cell, sample.id));
    if (missing.length === 0) {
      run.onSample?.(sample, missing, undefined);
      continue;
    }
    const outcome = await evaluate(run, sample, missing);
    const failures = await record(run, sample, missing, outcome.outcomes);
    open = open.filter((cell) => !failures.has(cell));
    totals.prefills += outcome.prefills;
    totals.prefillsUnshared += outcome.prefillsUnshared;
    totals.nativeMs += outcome.nativeMs;
    totals.totalMs += outcome.totalMs;
    run.onSample?.(sample, missing, outcome);
    if (open.length === 0) break;
  }
  for (const cell of open) await run.sink.finishCell(cell);
  return totals;
};

const endsTheRun = (error: WinnowError): boolean => error.code === 'ERR_INTERRUPTED' || error.code === 'ERR_DISK';

const evaluate = async (run: GroupRun, sample: Sample, cells: readonly PlannedCell[]): Promise<SampleOutcome> => {
  try {
    return await run.engine.evaluate(run.requestOf(sample, cells), run.signal);
  } catch (thrown) {
    run.signal?.throwIfAborted();
    const error = asWinnowError(thrown, `sample ${sample.id}`);
    if (endsTheRun(error)) throw error;
    const status = error.code === 'ERR_OUT_OF_MEMORY' ? 'out-of-memory' : 'failed';
    const outcomes = cells.map(
      (cell) => ({ key: cell.cellId, status, error: { code: error.code, message: error.message } }) as const,
    );
    return { sampleId: sample.id, outcomes, prefills: 0, prefillsUnshared: 0, nativeMs: 0, totalMs: 0 };
  }
};

const record = async (
  run: GroupRun,
  sample: Sample,
  cells: readonly PlannedCell[],
  outcomes: readonly SettingOutcome[],
): Promise<Set<PlannedCell>> => {
  const failures = new Set<PlannedCell>();
  for (const cell of cells) {
    const outcome = outcomes.find(({ key }) => key === cell.cellId);
    if (outcome?.status === 'ok') {
      await run.sink.addSample(cell, sample, outcome);
      continue;
    }
    failures.add(cell);
    const missing = { code: 'ERR_INTERNAL', message: `[ERR_INTERNAL] engine: no outcome for ${cell.cellId}` };
    await run.sink.finishCell(cell, { status: outcome?.status ?? 'failed', error: outcome?.error ?? missing });
  }
  return failures;
};
