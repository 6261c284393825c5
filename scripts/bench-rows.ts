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

/** Median milliseconds of one call over `rounds` rounds; short calls are repeated within a round until it lasts long enough to time. */
export const medianMs = (call: () => void, rounds: number): number => {
  const first = millisecondsOf(call, 1);
  const repeats = Math.max(1, Math.ceil(ROUND_MS / Math.max(first, 1e-3)));
  const times = Array.from({ length: rounds }, () => millisecondsOf(call, repeats) / repeats);
  return median(times);
};

/** Long beside the clock's resolution and a scheduler's slice, short enough for dozens of rows. */
const ROUND_MS = 10;

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
