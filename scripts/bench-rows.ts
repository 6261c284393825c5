import { median } from '../core/statistics.js';

/** One measured line of `winnow bench`. `ratio` is peer time ÷ our time: above 1 is faster than the peer. Without a peer it is null. */
export interface BenchRow {
  readonly name: string;
  readonly isa: string;
  readonly shape: string;
  readonly oursMs: number;
  readonly peer: string | null;
  readonly peerMs: number | null;
  readonly ratio: number | null;
  readonly ratioLow: number | null;
  readonly ratioHigh: number | null;
  readonly rounds: number;
  /** What the time means: GFLOP/s, GB/s, tokens/s, or cost in dense runs. */
  readonly rate: { readonly value: number; readonly unit: string };
}

/** Median milliseconds of one call. Short calls are repeated within a round until it lasts long enough to time; long ones get fewer rounds. */
export const medianMs = (call: () => void): { readonly ms: number; readonly rounds: number } => {
  millisecondsOf(call, 1);
  const first = millisecondsOf(call, 1);
  const repeats = Math.max(1, Math.ceil(ROUND_MS / Math.max(first, 1e-3)));
  const rounds = first * MOST_ROUNDS > CALL_BUDGET_MS ? FEWEST_ROUNDS : MOST_ROUNDS;
  const times = Array.from({ length: rounds }, () => millisecondsOf(call, repeats) / repeats);
  return { ms: median(times), rounds };
};

/** Long beside the clock's resolution and a scheduler's slice, short enough for dozens of rows. */
const ROUND_MS = 10;
const MOST_ROUNDS = 9;
const FEWEST_ROUNDS = 3;
const CALL_BUDGET_MS = 3000;

const millisecondsOf = (call: () => void, repeats: number): number => {
  const start = performance.now();
  for (let i = 0; i < repeats; i++) call();
  return performance.now() - start;
};

export const alone = (
  facts: { readonly name: string; readonly isa: string; readonly shape: string },
  oursMs: number,
  rounds: number,
  rate: BenchRow['rate'],
): BenchRow => ({
  ...facts,
  oursMs,
  peer: null,
  peerMs: null,
  ratio: null,
  ratioLow: null,
  ratioHigh: null,
  rounds,
  rate,
});

/** Columns of a table of rows. */
export const benchHeads = ['name', 'isa', 'shape', 'ms', 'rate', 'peer', 'peer ms', 'ratio', 'interval', 'rounds'];

export const benchColumns = (row: BenchRow): string[] => [
  row.name,
  row.isa,
  row.shape,
  row.oursMs.toPrecision(4),
  `${row.rate.value.toPrecision(3)} ${row.rate.unit}`,
  row.peer ?? '-',
  row.peerMs?.toPrecision(4) ?? '-',
  row.ratio?.toPrecision(3) ?? '-',
  row.ratioLow === null ? '-' : `${row.ratioLow.toPrecision(3)}..${row.ratioHigh!.toPrecision(3)}`,
  `${row.rounds}`,
];
