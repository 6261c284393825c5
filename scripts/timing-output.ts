import { median } from '../core/statistics.js';
import { formatLength } from '../core/units.js';
import { listIds, readTimingPass, runPaths } from '../results/run-files.js';
import type { BatchRecord, TimingRecord } from '../results/schema.js';
import type { CellGroup } from '../suites/run-groups.js';
import { passIdOf } from '../suites/timing-passes.js';
import { alignColumns } from './columns.js';

export interface CellTiming {
  readonly cellId: string;
  readonly task: string;
  readonly contextLength: number;
  readonly method: string;
  readonly budget: number | null;
  readonly prefillMs: number;
  readonly compressionMs: number;
  readonly timeToFirstTokenMs: number;
  readonly decodeMsPerToken: number;
  readonly peakResidentBytes: number | null;
  readonly rounds: number;
  readonly batches: readonly BatchLine[];
}

/** Rows that decode together; `error` where they could not. */
interface BatchLine {
  readonly asked: number | 'largest';
  readonly rows: number | null;
  readonly stepMs: number | null;
  readonly tokensPerSecond: number | null;
  readonly error: string | null;
}

/** Medians of the timing passes of a run directory, setting by setting, dense first in each group. */
export const timingsOf = (dir: string, groups: readonly CellGroup[]): CellTiming[] => {
  // A suite may time some of its groups only.
  const passes = new Set(listIds(runPaths(dir).timings, '.json'));
  return groups.flatMap((group) => {
    if (!passes.has(passIdOf(group))) return [];
    const { timings, batches = [] } = readTimingPass(dir, passIdOf(group));
    return group.cells.flatMap((cell) => {
      const ours = timings.filter(({ cellId }) => cellId === cell.cellId);
      if (ours.length === 0) return [];
      const middle = (read: (timing: TimingRecord) => number): number => median(ours.map(read));
      const peaks = ours.flatMap(({ peakResidentBytes }) =>
        peakResidentBytes === undefined ? [] : [peakResidentBytes],
      );
      return [
        {
          cellId: cell.cellId,
          task: cell.taskName,
          contextLength: cell.contextLength,
          method: cell.method.id,
          budget: cell.keptFraction ?? cell.tokenBudget ?? null,
          prefillMs: middle((timing) => timing.prefillMs),
          compressionMs: middle((timing) => timing.compressionMs),
          timeToFirstTokenMs: middle((timing) => timing.timeToFirstTokenMs),
          decodeMsPerToken: middle((timing) => timing.decodeMsPerToken),
          peakResidentBytes: peaks.length === 0 ? null : Math.max(...peaks),
          rounds: ours.length,
          batches: batches.filter(({ cellId }) => cellId === cell.cellId).map(batchLine),
        },
      ];
    });
  });
};

const batchLine = (batch: BatchRecord): BatchLine => {
  const { asked } = batch;
  if (batch.status !== 'ok')
    return { asked, rows: null, stepMs: null, tokensPerSecond: null, error: batch.error.message };
  const { rows, stepMs } = batch;
  return { asked, rows, stepMs, tokensPerSecond: (1000 * rows) / stepMs, error: null };
};

/** Undefined where no batch was timed. */
export const batchesTable = (timings: readonly CellTiming[]): string | undefined => {
  const lines = timings.flatMap((timing) =>
    timing.batches.map(({ asked, rows, stepMs, tokensPerSecond, error }) => [
      timing.task,
      formatLength(timing.contextLength),
      timing.method,
      timing.budget === null ? '' : String(timing.budget),
      asked === 'largest' ? `${rows ?? ''} (largest)`.trim() : String(asked),
      stepMs?.toFixed(2) ?? '',
      tokensPerSecond?.toFixed(0) ?? error ?? '',
    ]),
  );
  if (lines.length === 0) return undefined;
  return alignColumns([['task', 'length', 'method', 'budget', 'rows', 'ms/step', 'tokens/s'], ...lines]);
};

export const timingTable = (timings: readonly CellTiming[]): string =>
  alignColumns([
    [
      'task',
      'length',
      'method',
      'budget',
      'prefill ms',
      'compress ms',
      'first token ms',
      'decode ms/token',
      'peak MiB',
    ],
    ...timings.map((timing) => [
      timing.task,
      formatLength(timing.contextLength),
      timing.method,
      timing.budget === null ? '' : String(timing.budget),
      timing.prefillMs.toFixed(1),
      timing.compressionMs.toFixed(1),
      timing.timeToFirstTokenMs.toFixed(1),
      timing.decodeMsPerToken.toFixed(2),
      timing.peakResidentBytes === null ? '' : (timing.peakResidentBytes / 2 ** 20).toFixed(0),
    ]),
  ]);
