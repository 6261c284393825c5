/** Two settings sample by sample, by the same tests as `winnow compare`, from the scores in the page. */
import { holm } from '../../../core/statistics/multiple-testing.js';
import { createBootstrap } from '../../../core/statistics-bootstrap.js';
import { judgeCell, judgeSetting, type PairedScores, type ScorePair } from '../../compare/paired-scores.js';
import { clustersOf, type Setting, type SiteData, unpackScores } from '../site-data.js';

export interface JudgedPair {
  readonly a: Setting;
  readonly b: Setting;
  /** Why they are not compared; then nothing else is there. */
  readonly reason?: string;
  readonly scores?: PairedScores;
  readonly cells: readonly { readonly task: string; readonly length: number; readonly pairs: readonly ScorePair[] }[];
  readonly pAdjusted?: number;
}

export const MARGIN = 0.01;
export const ALPHA = 0.05;

const judgeOptions = ({ bootstrap, level }: SiteData) => {
  const options = { ...bootstrap, level };
  return {
    margin: MARGIN,
    alpha: ALPHA,
    alternative: 'two-sided' as const,
    bootstrap: createBootstrap(options),
    bootstrapOptions: options,
  };
};

/** Every pair of the chosen settings, over the cells in which both were asked the same; Holm over the pairs. */
export const judgePairs = (data: SiteData, chosen: readonly Setting[]): JudgedPair[] => {
  const options = judgeOptions(data);
  const pairs = chosen.flatMap((a, i) =>
    chosen.slice(i + 1).map((b): JudgedPair => {
      const reason = reasonAgainst(a, b);
      const cells = reason === undefined ? commonCells(data, a, b) : [];
      if (reason !== undefined || cells.length === 0) return { a, b, reason: reason ?? 'no samples in common', cells };
      return {
        a,
        b,
        cells,
        scores: judgeSetting(
          cells.map(({ pairs }) => pairs),
          options,
        ),
      };
    }),
  );
  const judged = pairs.filter(({ scores }) => scores !== undefined);
  const adjusted = holm(judged.map(({ scores }) => scores!.p));
  return pairs.map((pair) => {
    const at = judged.indexOf(pair);
    return at < 0 ? pair : { ...pair, pAdjusted: adjusted[at]! };
  });
};

/** By task and length; Holm over the cells. */
export const judgeCells = (data: SiteData, { cells }: JudgedPair) => {
  const options = judgeOptions(data);
  const judged = cells.map((cell) => ({ ...cell, scores: judgeCell(cell.pairs, options) }));
  const adjusted = holm(judged.map(({ scores }) => scores.p));
  return judged.map((cell, i) => ({ ...cell, pAdjusted: adjusted[i]! }));
};

const reasonAgainst = (a: Setting, b: Setting): string | undefined => {
  if (a.board !== b.board) return 'another suite, model or numerics';
  return a.protocol === b.protocol ? undefined : 'another protocol';
};

const commonCells = (data: SiteData, a: Setting, b: Setting): JudgedPair['cells'] => {
  const { cells, tasks, sets, settings, scoreValues } = data;
  const cellsOf = (setting: Setting): number[] => {
    const place = settings.indexOf(setting);
    return cells.setting.flatMap((of, i) => (of === place && cells.set[i]! >= 0 ? [i] : []));
  };
  const theirs = new Map(cellsOf(b).map((i) => [cells.set[i]!, i]));
  return cellsOf(a).flatMap((i) => {
    const other = theirs.get(cells.set[i]!);
    if (other === undefined) return [];
    const [ours, others] = [
      unpackScores(cells.scores[i]!, scoreValues),
      unpackScores(cells.scores[other]!, scoreValues),
    ];
    const pairs = clustersOf(sets[cells.set[i]!]!).map((cluster, at) => ({
      cluster: String(cluster),
      ours: { score: ours[at]! },
      theirs: { score: others[at]! },
    }));
    return [{ task: tasks[cells.task[i]!]!, length: cells.length[i]!, pairs }];
  });
};
