/** The data of a site's page from its settings: lists instead of objects, scores as letters, so that 200 000 samples stay small. */
import type { SampleSet, SiteCell, SiteSetting } from './collect.js';
import { type Board, packScores, type Setting, type SiteData } from './site-data.js';

export interface RankedSetting {
  readonly source: SiteSetting;
  readonly setting: Setting;
}

export const encodeSite = (
  head: Pick<SiteData, 'title' | 'level' | 'bootstrap'> & { readonly boards: readonly Board[] },
  ranked: readonly RankedSetting[],
): SiteData => {
  const all = ranked.flatMap(({ source }, place) => source.siteCells.map((cell) => ({ place, cell })));
  const cells = all.map(({ cell }) => cell);
  const tasks = [...new Set(cells.map(({ task }) => task))].sort();
  const taskPlace = new Map(tasks.map((task, i) => [task, i]));
  const { sets, placeOf } = encodeSets(cells);
  const scoreValues = [...new Set(cells.flatMap(({ scores }) => scores))].sort((a, b) => a - b);
  const scorePlace = new Map(scoreValues.map((value, i) => [value, i]));
  const column = (read: (cell: SiteCell) => number | undefined): (number | null)[] => cells.map((c) => short(read(c)));
  return {
    ...head,
    settings: ranked.map(({ setting }) => shortened(setting)),
    tasks,
    sets,
    scoreValues,
    cells: {
      setting: all.map(({ place }) => place),
      task: cells.map(({ task }) => taskPlace.get(task)!),
      length: cells.map(({ length }) => length),
      set: cells.map(({ set }) => (set === undefined ? -1 : placeOf.get(set.id)!)),
      n: cells.map(({ record }) => record.n),
      score: column(({ record }) => record.aggregates?.score),
      low: column(({ record }) => record.aggregates?.scoreLow),
      high: column(({ record }) => record.aggregates?.scoreHigh),
      delta: column(({ summary }) => summary.deltaDense?.mean),
      deltaLow: column(({ summary }) => summary.deltaDense?.low),
      deltaHigh: column(({ summary }) => summary.deltaDense?.high),
      evidenceRecall: column(({ record }) => record.aggregates?.evidenceRecall),
      kvCacheBytes: column(({ record }) => record.aggregates?.kvCacheBytes),
      kvBytesRead: column(({ record }) => record.aggregates?.kvBytesReadPerStep),
      timeToFirstTokenMs: column(({ summary }) => summary.times?.timeToFirstTokenMs),
      decodeMsPerToken: column(({ summary }) => summary.times?.decodeMsPerToken),
      peakBytes: column(({ summary }) => summary.times?.peakResidentBytes),
      scores: cells.map(({ scores }) =>
        packScores(
          scores.map((score) => scorePlace.get(score)!),
          scoreValues.length,
        ),
      ),
    },
  };
};

/** Clusters are numbered in the order of their first use, so those of a new set follow each other. */
const encodeSets = (cells: readonly SiteCell[]) => {
  const known = new Map<string, SampleSet>();
  for (const { set } of cells) if (set !== undefined && !known.has(set.id)) known.set(set.id, set);
  const numbers = new Map<string, number>();
  const sets = [...known.values()].map(({ clusters }): SiteData['sets'][number] => {
    const all = clusters.map((cluster) => {
      const number = numbers.get(cluster) ?? numbers.size;
      numbers.set(cluster, number);
      return number;
    });
    const first = all[0] ?? 0;
    return all.every((number, i) => number === first + i) ? [first, all.length] : [all];
  });
  return { sets, placeOf: new Map([...known.keys()].map((id, i) => [id, i])) };
};

/** Six digits are more than a page shows; whole numbers are in the downloads. */
const short = (value: number | null | undefined): number | null =>
  value === null || value === undefined || !Number.isFinite(value) ? null : Number(value.toPrecision(6));

const shortened = (setting: Setting): Setting =>
  Object.fromEntries(
    Object.entries(setting).map(([key, value]) => [key, typeof value === 'number' ? short(value) : value]),
  ) as unknown as Setting;
