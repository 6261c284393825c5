/** Ranks with ties: settings whose paired interval holds 0 are not told apart. */
import { type ClusteredGroup, clusteredMean } from '../../core/statistics/clustered-mean.js';
import type { SiteCell, SiteSetting } from './collect.js';
import { rankingKey } from './site-data.js';

export interface Place {
  readonly rank: number | null;
  readonly tied: boolean;
  readonly ranked: number;
  readonly unranked: string;
}

/** Of the paired intervals that decide a rank; fewer draws than those that are shown, because every pair is compared. */
const rankBootstrap = { seed: 20_251, draws: 1_000, level: 0.95 };

/**
 * Places within each ranking (one board, protocol, budget axis and budget): 1 + the number of settings that are better, where better means
 * that the 95 % interval of the paired mean difference over the same samples lies above 0. So overlapping settings share a rank.
 *
 * Not ranked: controls, settings that only simulate or stand in for a trained method, and settings that did not score the same samples as
 * most of their ranking.
 */
export const placeSettings = (
  settings: readonly (SiteSetting & { readonly board: number })[],
): Map<SiteSetting, Place> => {
  const places = new Map<SiteSetting, Place>();
  const groups = new Map<string, SiteSetting[]>();
  for (const setting of settings) {
    const reason = reasonAgainst(setting);
    if (reason !== '') places.set(setting, { rank: null, tied: false, ranked: 0, unranked: reason });
    else groups.set(rankingKey(setting), [...(groups.get(rankingKey(setting)) ?? []), setting]);
  }
  for (const group of groups.values()) {
    const questions = commonQuestions(group);
    const members = group.filter((setting) => questionsOf(setting) === questions);
    for (const setting of group)
      if (!members.includes(setting))
        places.set(setting, { rank: null, tied: false, ranked: 0, unranked: 'other samples than the rest' });
    for (const [setting, place] of ranksOf(members)) places.set(setting, place);
  }
  return places;
};

const reasonAgainst = ({ control, simulated, standIn, scored, planned, estimate }: SiteSetting): string => {
  if (control) return 'control';
  if (simulated) return 'simulated';
  if (standIn) return 'untrained stand-in';
  if (estimate === null) return 'no score';
  return scored < planned ? `${planned - scored} of ${planned} cells without a score` : '';
};

const questionsOf = ({ siteCells }: SiteSetting): string =>
  siteCells
    .map(({ set }) => set?.id ?? '')
    .sort()
    .join(' ');

/** Those of most settings; of equally many, those with the most cells. */
const commonQuestions = (group: readonly SiteSetting[]): string => {
  const counts = new Map<string, number>();
  for (const setting of group) counts.set(questionsOf(setting), (counts.get(questionsOf(setting)) ?? 0) + 1);
  return [...counts].sort(([a, m], [b, n]) => n - m || b.length - a.length || (a < b ? -1 : 1))[0]![0];
};

const ranksOf = (members: readonly SiteSetting[]): Map<SiteSetting, Place> => {
  const above = new Map(members.map((setting) => [setting, 0]));
  const inOrder = [...members].sort((a, b) => b.score! - a.score!);
  for (const [i, better] of inOrder.entries())
    for (const worse of inOrder.slice(i + 1)) if (isBetter(better, worse)) above.set(worse, above.get(worse)! + 1);
  return new Map(
    inOrder.map((setting) => {
      const rank = 1 + above.get(setting)!;
      const tied = inOrder.some((other) => other !== setting && 1 + above.get(other)! === rank);
      return [setting, { rank, tied, ranked: members.length, unranked: '' }];
    }),
  );
};

const isBetter = (better: SiteSetting, worse: SiteSetting): boolean => {
  const theirs = new Map(worse.siteCells.map((cell) => [cell.set!.id, cell]));
  const groups = better.siteCells.map((cell) => differences(cell, theirs.get(cell.set!.id)!));
  return clusteredMean(groups, { low: -1, high: 1 }, rankBootstrap).low > 0;
};

const differences = (ours: SiteCell, theirs: SiteCell): ClusteredGroup => ({
  values: ours.scores.map((score, i) => score - theirs.scores[i]!),
  clusters: ours.set!.clusters,
});
