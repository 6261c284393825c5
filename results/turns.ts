import { mean, withoutNoise } from '../core/statistics.js';
import type { SampleRecord, ScoredSample } from './schema.js';

/** Means of a cell by turn, for samples of several questions; a turn that only some samples have is averaged over those. */
export interface TurnMeans {
  readonly scores: readonly number[];
  readonly kvCacheBytes: readonly number[];
  /** What was known when the caches were compressed. */
  readonly compressedFor: ScoredSample['compressedFor'];
}

/** Undefined for cells without turns. */
export const turnMeans = (samples: readonly SampleRecord[]): TurnMeans | undefined => {
  const withTurns = samples.flatMap((sample) => (sample.status === 'ok' && sample.turns !== undefined ? [sample] : []));
  const most = withTurns.reduce((count, { turns = [] }) => Math.max(count, turns.length), 0);
  if (most === 0) return undefined;
  const byTurn = (read: (turn: NonNullable<ScoredSample['turns']>[number]) => number): number[] =>
    Array.from({ length: most }, (_, turn) =>
      withoutNoise(mean(withTurns.flatMap(({ turns = [] }) => (turns[turn] === undefined ? [] : [read(turns[turn])])))),
    );
  return {
    scores: byTurn(({ score }) => score),
    kvCacheBytes: byTurn(({ kvCacheBytes }) => kvCacheBytes),
    compressedFor: withTurns[0]!.compressedFor,
  };
};
