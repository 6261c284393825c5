import { mean } from '../../core/statistics.js';
import { distinct } from '../averages.js';
import type { ScoredSample } from '../schema.js';
import { type CellSummary, type RunSummary, settingLabel } from '../summary.js';
import { type Chart, framed, legendBelow, lengthLabel, nameFor, styleOf, whatWasRun } from './theme.js';

interface Along {
  readonly base: string;
  readonly title: string;
  readonly axis: string;
  /** What the points of a line are, from one sample. */
  pointsOf(sample: ScoredSample): readonly { readonly at: number; readonly score: number }[];
  /** More positions than this are joined to as many groups. */
  readonly mostPoints: number;
  readonly isLog: boolean;
}

/** The score of a setting as a line over something that varies within a cell; a panel per task and length, colours per method, dashes per budget. */
const along =
  (what: Along) =>
  (summary: RunSummary, protocol: string, protocols: readonly string[]): Chart | undefined => {
    const cells = summary.cells.filter(
      (cell) => cell.facts.protocol === protocol && distinct(pointsOf(cell, what).map(({ at }) => at)).length >= 3,
    );
    if (cells.length === 0) return undefined;
    const panels = distinct(cells.map(panelOf));
    const { domain, colours, shapes } = styleOf(cells);
    const budgets = distinct(cells.map(({ budget }) => (budget === '' ? 'none' : budget)));
    const columns = Math.min(3, panels.length);
    const legend = legendBelow(domain, columns * panelWidth);
    const subtitle = [`${whatWasRun(summary, protocol)}; mean over the samples of a cell.`];
    return {
      name: nameFor(what.base, protocol, protocols),
      title: what.title,
      spec: framed(what.title, subtitle, {
        columns,
        spacing: 24,
        concat: panels.map((panel, i) => ({
          width: panelWidth,
          height: panelHeight,
          title: { text: panel, fontSize: 13, offset: 6, anchor: 'middle' },
          data: { values: cells.filter((cell) => panelOf(cell) === panel).flatMap((cell) => rowsOf(cell, what)) },
          layer: [
            { mark: { type: 'line' } },
            {
              mark: { type: 'point', filled: true, size: 45, opacity: 1 },
              encoding: { shape: { field: 'series', type: 'nominal', scale: { domain, range: shapes }, legend } },
            },
          ],
          encoding: {
            x: {
              field: 'at',
              type: 'quantitative',
              scale: what.isLog ? { type: 'log', base: 2 } : { zero: false },
              axis: { title: what.axis, format: 'd' },
            },
            y: {
              field: 'score',
              type: 'quantitative',
              scale: { domain: [-0.02, 1.02] },
              axis: { values: [0, 0.25, 0.5, 0.75, 1], format: '.2f', title: i % columns === 0 ? 'score (0–1)' : null },
            },
            color: {
              field: 'series',
              type: 'nominal',
              scale: { domain, range: colours },
              legend,
            },
            strokeDash: {
              field: 'budget',
              type: 'nominal',
              scale: { domain: budgets },
              legend: { ...legendBelow(budgets, columns * panelWidth), title: 'budget' },
            },
            detail: { field: 'setting', type: 'nominal' },
          },
        })),
        resolve: { scale: { color: 'shared', shape: 'shared', strokeDash: 'shared' } },
      }),
    };
  };

const panelWidth = 250;
const panelHeight = 170;

const panelOf = ({ facts }: CellSummary): string => `${facts.taskName}, ${lengthLabel(facts.contextLength)} tokens`;

const pointsOf = ({ samples }: CellSummary, what: Along) =>
  samples.flatMap((sample) => (sample.status === 'ok' ? what.pointsOf(sample) : []));

const rowsOf = (cell: CellSummary, what: Along) => {
  const points = pointsOf(cell, what);
  const places = distinct(points.map(({ at }) => at)).sort((a, b) => a - b);
  const perGroup = Math.ceil(places.length / what.mostPoints);
  const starts = places.filter((_, i) => i % perGroup === 0);
  return starts.map((start, i) => {
    const end = starts[i + 1] ?? Number.POSITIVE_INFINITY;
    const same = points.filter(({ at }) => at >= start && at < end);
    return {
      setting: settingLabel(cell),
      series: cell.series,
      budget: cell.budget === '' ? 'none' : cell.budget,
      at: mean(same.map(({ at }) => at)),
      score: mean(same.map(({ score }) => score)),
    };
  });
};

/** Answers in steps, where forgetting while decoding shows; and the number of pairs to hold, a capacity curve. */
export const scoreAlong = [
  along({
    base: 'score-by-step',
    title: 'Score by step of the answer',
    axis: 'step',
    mostPoints: 16,
    isLog: false,
    pointsOf: ({ stepScores = [], meta }) => {
      const given = typeof meta?.['solved'] === 'number' ? meta['solved'] : 0;
      return stepScores.map((score, i) => ({ at: given + i + 1, score }));
    },
  }),
  along({
    base: 'score-by-pairs',
    title: 'Score by pairs to remember',
    axis: 'pairs (log scale)',
    mostPoints: 16,
    isLog: true,
    pointsOf: ({ meta, score }) => (typeof meta?.['pairs'] === 'number' ? [{ at: meta['pairs'], score }] : []),
  }),
] as const;
