import { geometricMean, mean, withoutNoise } from '../core/statistics.js';
import { createBootstrap, type Estimate } from '../core/statistics-bootstrap.js';
import { pairedDifferences } from './aggregate.js';
import { isScored } from './quality.js';
import type { CellAggregates } from './schema.js';
import { type CellSummary, groupKey, type RunSummary } from './summary.js';

/** One setting over several cells (tasks, or tasks and lengths) of one protocol; every cell counts once. */
export interface Average {
  readonly series: string;
  readonly budget: string;
  readonly cells: readonly CellSummary[];
  /** Cells that have a score, of those that the setting was planned for. */
  readonly scored: number;
  readonly planned: number;
  /** Absent when no cell has a score. A missing cell is never counted as 0. */
  readonly score?: Estimate;
  /** Mean paired difference to dense over the same cells. */
  readonly deltaDense?: Estimate;
  /** Geometric mean of measured bytes ÷ those of dense in the same cell. */
  readonly kvCacheShare?: number;
  readonly kvReadShare?: number;
  readonly evidenceRecall?: number;
}

/** Averages each setting over `cells`, which must share a protocol, dense first, then controls, then methods. */
export const averageSettings = ({ run }: RunSummary, cells: readonly CellSummary[]): Average[] => {
  const { seed, draws, level } = run.statistics;
  const bootstrap = createBootstrap({ seed, draws, level });
  const settings = new Map<string, CellSummary[]>();
  for (const cell of cells) {
    const key = `${cell.series}\u0000${cell.budget}`;
    settings.set(key, [...(settings.get(key) ?? []), cell]);
  }
  const denseOf = new Map(cells.filter(isDense).map((cell) => [groupKey(cell.facts), cell]));
  const groups = [...settings.values()].sort((a, b) => rank(a[0]!) - rank(b[0]!));
  return groups.map((members): Average => {
    const [first] = members as [CellSummary, ...CellSummary[]];
    const scored = members.filter((cell) => cell.record.aggregates !== undefined);
    const paired = scored.flatMap((cell) => {
      const dense = denseOf.get(groupKey(cell.facts));
      const differences = dense === undefined || dense === cell ? [] : pairedDifferences(cell.samples, dense.samples);
      return differences.length === 0 ? [] : [differences];
    });
    const share = (quantity: 'kvCacheBytes' | 'kvBytesReadPerStep'): number | undefined => {
      const ratios = scored.flatMap((cell) => {
        const dense = denseOf.get(groupKey(cell.facts))?.record.aggregates?.[quantity];
        const ours = cell.record.aggregates?.[quantity];
        return dense === undefined || ours === undefined || dense === 0 ? [] : [ours / dense];
      });
      return ratios.length === 0 ? undefined : withoutNoise(geometricMean(ratios));
    };
    const scores = scored.map((cell) =>
      cell.samples.flatMap((sample) => (sample.status === 'ok' ? [sample.score] : [])),
    );
    const kvCacheShare = share('kvCacheBytes');
    const kvReadShare = share('kvBytesReadPerStep');
    const evidenceRecall = isScored(run) ? meanOf(scored, 'evidenceRecall') : undefined;
    return {
      series: first.series,
      budget: first.budget,
      cells: members,
      scored: scored.length,
      planned: members.length,
      ...(scores.length === 0 || !isScored(run) ? {} : { score: bootstrap.meanOfGroups(scores, { low: 0, high: 1 }) }),
      ...(paired.length === 0 || !isScored(run)
        ? {}
        : { deltaDense: bootstrap.meanOfGroups(paired, { low: -1, high: 1 }) }),
      ...(kvCacheShare === undefined ? {} : { kvCacheShare }),
      ...(kvReadShare === undefined ? {} : { kvReadShare }),
      ...(evidenceRecall === undefined ? {} : { evidenceRecall }),
    };
  });
};

/** Mean of a measured quantity over the cells that have it. */
export const meanOf = (cells: readonly CellSummary[], quantity: keyof CellAggregates): number | undefined => {
  const values = cells.map((cell) => cell.record.aggregates?.[quantity]).filter((value) => value !== undefined);
  return values.length === 0 ? undefined : withoutNoise(mean(values));
};

const rank = (cell: CellSummary): number => (isDense(cell) ? 0 : cell.facts.control ? 1 : 2);

export const isDense = ({ facts }: CellSummary): boolean => facts.method.id === 'dense';

export const distinct = <T>(values: readonly T[]): T[] => [...new Set(values)];
