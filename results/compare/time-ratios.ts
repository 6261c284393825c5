import { pairedRatio, type RatioEstimate } from '../../core/statistics/ratios.js';
import type { CellWithSamples, RunRecords } from '../run-records.js';
import type { TimingRecord } from '../schema.js';

export const timeQuantities = ['prefillMs', 'timeToFirstTokenMs', 'decodeMsPerToken'] as const;
export type TimeQuantity = (typeof timeQuantities)[number];

/** Times of one setting ÷ another's, round by round of the interleaved pass that timed both; undefined where none did. */
export const timeRatios = (
  { passes }: RunRecords,
  ours: CellWithSamples,
  theirs: CellWithSamples,
): Partial<Record<TimeQuantity, RatioEstimate>> | undefined => {
  for (const { timings } of passes) {
    const roundsOf = (cell: CellWithSamples): Map<string, TimingRecord> =>
      new Map(
        timings
          .filter(({ cellId }) => cellId === cell.record.cell.cellId)
          .map((timing) => [`${timing.sampleId} ${timing.repeat}`, timing]),
      );
    const [a, b] = [roundsOf(ours), roundsOf(theirs)];
    const rounds = [...a].flatMap(([round, timing]) => {
      const other = b.get(round);
      return other === undefined ? [] : [[timing, other] as const];
    });
    if (rounds.length === 0) continue;
    return Object.fromEntries(
      timeQuantities.flatMap((quantity) => {
        const measured = rounds.filter(([x, y]) => x[quantity] > 0 && y[quantity] > 0);
        if (measured.length === 0) return [];
        return [
          [
            quantity,
            pairedRatio(
              measured.map(([x]) => x[quantity]),
              measured.map(([, y]) => y[quantity]),
            ),
          ],
        ];
      }),
    );
  }
  return undefined;
};
