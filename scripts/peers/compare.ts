import { setTimeout } from 'node:timers/promises';
import { median, medianInterval } from '../../core/statistics.js';
import type { BenchRow } from '../bench-rows.js';

/** Milliseconds of one or several repeats, measured one right after the other. */
export type Measure = () => Promise<number | readonly number[]>;

export interface Comparison {
  readonly name: string;
  readonly isa: string;
  readonly shape: string;
  readonly ours: Measure;
  readonly peer: { readonly name: string; readonly measure: Measure };
  /** Turns, each of which measures both; a turn gives as many rounds as the measures have repeats. */
  readonly turns: number;
  /** What our median time means. */
  readonly rate: (oursMs: number) => BenchRow['rate'];
  /** Measures that warm themselves up. */
  readonly isWarm?: boolean;
}

/** Threads of a peer's pool may spin on for a moment after its answer. */
const PAUSE_MS = 60;

/**
 * Both sides in turn, the first one alternating, so that drift of the machine touches both alike. `ratio` is the median over rounds of
 * peer time ÷ our time of the same round; its interval comes from order statistics of those ratios (95 % from 6 rounds on, else the range).
 */
export const compare = async (comparison: Comparison, signal: AbortSignal): Promise<BenchRow> => {
  const { name, isa, shape, turns } = comparison;
  const measure = async (side: Measure): Promise<readonly number[]> => {
    signal.throwIfAborted();
    await setTimeout(PAUSE_MS);
    const times = await side();
    return typeof times === 'number' ? [times] : times;
  };
  const { ours, peer } = comparison;
  if (comparison.isWarm !== true) for (const side of [ours, peer.measure]) await measure(side);
  const oursMs: number[] = [];
  const peerMs: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const sides = [
      { side: ours, times: oursMs },
      { side: peer.measure, times: peerMs },
    ];
    if (turn % 2 === 1) sides.reverse();
    for (const { side, times } of sides) times.push(...(await measure(side)));
  }
  return pairedRow({ name, isa, shape, peer: peer.name }, oursMs, peerMs, comparison.rate);
};

export const pairedRow = (
  facts: { readonly name: string; readonly isa: string; readonly shape: string; readonly peer: string },
  oursMs: readonly number[],
  peerMs: readonly number[],
  rate: Comparison['rate'],
): BenchRow => {
  const ratios = oursMs.map((ms, round) => peerMs[round]! / ms);
  const { low, high } = medianInterval(ratios);
  return {
    ...facts,
    oursMs: median(oursMs),
    peerMs: median(peerMs),
    ratio: median(ratios),
    ratioLow: low,
    ratioHigh: high,
    rounds: ratios.length,
    rate: rate(median(oursMs)),
  };
};
