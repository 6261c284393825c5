/** Boards of all runs, and their settings in the order of the table: controls, then ranking by ranking, best first. */
import { compareText } from '../summary.js';
import { boardKeyOf, type SiteSetting } from './collect.js';
import type { RankedSetting } from './encode.js';
import { placeSettings } from './ranking.js';
import type { SiteRun } from './read-runs.js';
import { type Board, rankingKey, type Setting } from './site-data.js';

export const rankSettings = (runs: readonly SiteRun[]): { boards: Board[]; ranked: RankedSetting[] } => {
  const boards = new Map<string, Board>();
  for (const { run } of runs)
    boards.set(boardKeyOf(run), {
      suite: run.suite.id,
      suiteVersion: run.suite.version,
      model: run.model.id,
      numerics: run.numerics,
    });
  const keys = [...boards.keys()].sort(compareText);
  const badges = new Map(runs.map(({ name, badge }) => [name, badge]));
  const sources = runs.flatMap(({ settings }) =>
    settings.map((setting) => ({ ...setting, board: keys.indexOf(setting.boardKey) })),
  );
  const places = placeSettings(sources);
  const ranked = sources.map((source): RankedSetting => {
    const { boardKey: _, facts: __, siteCells: ___, ...rest } = source;
    return { source, setting: { ...rest, badge: badges.get(source.run)!, ...places.get(source)! } };
  });
  return {
    boards: keys.map((key) => boards.get(key)!),
    ranked: ranked.sort((a, b) => inTable(a.setting, b.setting) || inTableOf(a.source, b.source)),
  };
};

const inTable = (a: Setting, b: Setting): number =>
  a.board - b.board ||
  compareText(a.protocol, b.protocol) ||
  Number(b.control) - Number(a.control) ||
  (a.control
    ? Number(b.method === 'dense') - Number(a.method === 'dense')
    : compareText(rankingKey(a), rankingKey(b))) ||
  (a.rank ?? Number.POSITIVE_INFINITY) - (b.rank ?? Number.POSITIVE_INFINITY) ||
  (b.score ?? -1) - (a.score ?? -1);

const inTableOf = (a: SiteSetting, b: SiteSetting): number =>
  compareText(a.series, b.series) || compareText(a.id, b.id);
