import { median } from '../core/statistics.js';
import { formatLength } from '../core/units.js';
import { listIds, readTimingPass, runPaths } from '../results/run-files.js';
import type { TimingRecord } from '../results/schema.js';
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
}

/** Medians of the timing passes of a run directory, setting by setting, dense first in each group. */
export const timingsOf = (dir: string, groups: readonly CellGroup[]): CellTiming[] => {
  // A suite may time some of its groups only.
  const passes = new Set(listIds(runPaths(dir).timings, '.json'));
  return groups.flatMap((group) => {
    if (!passes.has(passIdOf(group))) return [];
    const { timings } = readTimingPass(dir, passIdOf(group));
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
        },
      ];
    });
  });
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
