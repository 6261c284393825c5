import { holm } from '../../core/statistics/multiple-testing.js';
import { signedRankTest } from '../../core/statistics/paired-tests.js';
import { pairedRatio } from '../../core/statistics/ratios.js';
import { median } from '../../core/statistics.js';
import type { RunRecords } from '../run-records.js';
import { type GateRow, type GateVerdict, placeOf } from './gate-row.js';
import type { Policy } from './policy.js';

export interface TimedSeries {
  readonly place: Pick<GateRow, 'task' | 'contextLength' | 'protocol' | 'setting' | 'method'>;
  readonly quantity: string;
  /** One number for each pass, in the order they were taken; pass i of the candidate ran beside pass i of the baseline. */
  readonly baseline: readonly number[];
  readonly candidate: readonly number[];
}

/**
 * Times of passes that were run in turns, baseline, candidate, baseline, candidate, on one machine.
 *
 * The ratio of neighbours is held against the A/A band: how far the same estimate strays between passes of the baseline alone. A regression
 * exceeds both band and tolerance and has a signed-rank p at or below alpha after Holm over all rows.
 */
export const checkTime = (
  baselines: readonly RunRecords[],
  candidates: readonly RunRecords[],
  { time }: Policy,
): GateRow[] => {
  if (time === undefined) return [];
  const head = { check: 'time', quantity: 'times', setting: 'run', method: '', effect: 0 } as const;
  const [ours, theirs] = [candidates, baselines].map((runs) => runs.filter(({ passes }) => passes.length > 0));
  if (ours!.length === 0 || theirs!.length === 0) {
    const side = theirs!.length === 0 ? 'baseline' : 'candidate';
    return [{ ...head, verdict: 'missing', detail: `the ${side} has no timing pass: run it with --pass timing` }];
  }
  const machines = new Set([...ours!, ...theirs!].map(machineOf));
  if (machines.size > 1) {
    const detail = `times of different machines are never compared: ${[...machines].join('; ')}`;
    return [{ ...head, verdict: 'incomparable', detail }];
  }
  return judgeTimes(seriesOf(theirs!, ours!, time.quantities), time);
};

const machineOf = ({ run: { machine, isa, threads, backend, device, model } }: RunRecords): string => {
  const name = device === undefined ? '' : ` on ${device.name}`;
  return `${machine.cpu}, ${machine.cores} cores, ${backend} ${isa}${name}, ${threads} threads, model ${model.sha256.slice(0, 12)}`;
};

const seriesOf = (
  baselines: readonly RunRecords[],
  candidates: readonly RunRecords[],
  quantities: NonNullable<Policy['time']>['quantities'],
): TimedSeries[] => {
  const facts = new Map(
    [...baselines, ...candidates].flatMap(({ cells }) =>
      cells.map(({ record }) => [record.cell.cellId, record.cell] as const),
    ),
  );
  const passes = Math.min(baselines.length, candidates.length);
  const cellIds = new Set(
    baselines.flatMap((run) => run.passes.flatMap(({ timings }) => timings.map(({ cellId }) => cellId))),
  );
  return [...cellIds].sort().flatMap((cellId) => {
    const cell = facts.get(cellId);
    const place = cell === undefined ? { setting: `cell ${cellId}`, method: cellId } : placeOf(cell);
    return quantities.flatMap((quantity): TimedSeries[] => {
      const middles = (runs: readonly RunRecords[]): number[] =>
        runs.slice(0, passes).flatMap((run) => {
          const rounds = run.passes
            .flatMap(({ timings }) => timings.filter((timing) => timing.cellId === cellId))
            .flatMap((timing) => timing[quantity] ?? []);
          return rounds.length === 0 ? [] : [median(rounds)];
        });
      const [baseline, candidate] = [middles(baselines), middles(candidates)];
      // A method that does no work of a kind has zeros there, which have no ratio.
      return baseline.length === 0 || baseline.some((value) => value <= 0)
        ? []
        : [{ place, quantity, baseline, candidate }];
    });
  });
};

/** The verdicts of many series together. */
export const judgeTimes = (
  series: readonly TimedSeries[],
  { tolerance, alpha }: NonNullable<Policy['time']>,
): GateRow[] => {
  const complete = series.filter(({ baseline, candidate }) => baseline.length === candidate.length);
  const p = complete.map(({ baseline, candidate }) => signedRankTest(logRatios(candidate, baseline), 'greater').p);
  const adjusted = holm(p);
  // The smallest p of n pairs is 2^-n; Holm multiplies it by the number of rows.
  const needed = Math.ceil(Math.log2(complete.length / alpha));
  return series.map(({ place, quantity, baseline, candidate }): GateRow => {
    const head = { ...place, check: 'time', quantity, n: baseline.length } as const;
    const i = complete.findIndex((one) => one.baseline === baseline);
    if (i < 0) {
      const detail = `${candidate.length} timed passes of the candidate beside ${baseline.length} of the baseline`;
      return { ...head, verdict: 'missing', detail, effect: 0 };
    }
    const { ratio, low, high } = pairedRatio(candidate, baseline);
    const band = bandOf(baseline);
    const limit = Math.max(1 + tolerance, band);
    const enough = baseline.length >= Math.max(needed, 3);
    const verdict: GateVerdict = !enough
      ? 'inconclusive'
      : adjusted[i]! <= alpha && ratio > limit
        ? 'regression'
        : high <= limit
          ? 'pass'
          : 'inconclusive';
    return {
      ...head,
      ...{ verdict, baseline: median(baseline), candidate: median(candidate), low, high },
      ...{ p: p[i]!, pAdjusted: adjusted[i]!, effect: Math.max(0, ratio - 1) },
      detail: `${quantity} ratio ${ratio.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}], limit ${limit.toFixed(3)} (A/A band ${band.toFixed(3)}), p with Holm ${adjusted[i]!.toPrecision(2)}${enough ? '' : `; ${baseline.length} passes a side, ${Math.max(needed, 3)} needed for ${complete.length} rows`}`,
    };
  });
};

const logRatios = (ours: readonly number[], theirs: readonly number[]): number[] =>
  ours.map((value, i) => Math.log(value / theirs[i]!));

/** How far the ratio of a pass to the one before it strays from 1 in the baseline alone, by the same estimate and interval. */
const bandOf = (baseline: readonly number[]): number => {
  if (baseline.length < 2) return Number.POSITIVE_INFINITY;
  const { low, high } = pairedRatio(baseline.slice(1), baseline.slice(0, -1));
  return Math.max(high, 1 / low);
};
