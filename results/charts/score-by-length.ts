import { type Average, averageSettings, distinct } from '../averages.js';
import type { RunSummary } from '../summary.js';
import {
  budgetColours,
  type Chart,
  framed,
  legendBelow,
  lengthLabel,
  nameFor,
  type SkippedChart,
  whatWasRun,
} from './theme.js';

const panelWidth = 200;
const panelHeight = 140;

/** Mean score over the tasks by context length: a panel per method, a line with its band per budget, dense in grey behind. */
export const scoreByLength = (
  summary: RunSummary,
  protocol: string,
  protocols: readonly string[],
): Chart | SkippedChart => {
  const name = nameFor('score-by-length', protocol, protocols);
  const cells = summary.cells.filter(({ facts }) => facts.protocol === protocol);
  const lengths = distinct(cells.map(({ facts }) => facts.contextLength)).sort((a, b) => a - b);
  if (lengths.length < 2) return { name, reason: 'the run has one context length' };
  const points = lengths.flatMap((length) =>
    averageSettings(
      summary,
      cells.filter(({ facts }) => facts.contextLength === length),
    ).map((average) => ({ length, average })),
  );
  const rows = points.flatMap(({ length, average }) => rowOf(length, average));
  const dense = rows.filter(({ series }) => series === 'dense');
  const others = rows.filter(({ series }) => series !== 'dense');
  const series = distinct(others.map((row) => row.series));
  if (series.length === 0) return { name, reason: 'no setting but dense has a score' };
  const budgets = distinct(others.map((row) => row.budget)).sort((a, b) => sizeOf(a) - sizeOf(b));
  const columns = Math.min(4, series.length);
  const tasks = distinct(cells.map(({ facts }) => facts.taskName));
  const title = 'Score by context length';
  const subtitle = [
    `${whatWasRun(summary, protocol)}; mean over ${tasks.length === 1 ? tasks[0] : `${tasks.length} tasks`}; bands: ${100 * summary.run.statistics.level} % intervals.`,
    'Dashes on grey: dense. A setting without a score at a length has no point there.',
  ];
  const x = {
    field: 'length',
    type: 'quantitative',
    scale: { type: 'log', base: 2, domain: [lengths[0], lengths.at(-1)], nice: false, padding: 8 },
    axis: { values: lengths, labelExpr: lengthExpression(lengths), title: 'context length (tokens)' },
  };
  const yAt = (isFirst: boolean) => ({
    type: 'quantitative',
    scale: { domain: [-0.04, 1.04] },
    axis: { values: [0, 0.25, 0.5, 0.75, 1], format: '.2f', title: isFirst ? 'score (0–1)' : null },
  });
  const color = {
    field: 'budget',
    type: 'nominal',
    scale: { domain: budgets, range: budgets.map((_, i) => budgetColours[i % budgetColours.length]) },
    legend: { ...legendBelow(budgets, columns * panelWidth), title: 'budget' },
  };
  const shape = {
    ...color,
    scale: { domain: budgets, range: budgets.map((_, i) => ['circle', 'square', 'triangle-up', 'diamond'][i % 4]) },
  };
  return {
    name,
    title,
    spec: framed(title, subtitle, {
      columns,
      spacing: { row: 22, column: 22 },
      concat: series.map((method, i) => {
        const y = yAt(i % columns === 0);
        return {
          width: panelWidth,
          height: panelHeight,
          title: { text: method, fontSize: 13, offset: 6, anchor: 'middle' },
          layer: [
            {
              data: { values: dense },
              mark: { type: 'area', color: '#888888', opacity: 0.18 },
              encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' } },
            },
            {
              data: { values: others.filter((row) => row.series === method) },
              layer: [
                {
                  mark: { type: 'area', opacity: 0.22 },
                  encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
                },
                { mark: { type: 'line', strokeWidth: 2 }, encoding: { x, y: { ...y, field: 'score' }, color } },
                {
                  mark: { type: 'point', filled: true, size: 55, opacity: 1 },
                  encoding: { x, y: { ...y, field: 'score' }, color, shape },
                },
              ],
            },
            {
              data: { values: dense },
              mark: { type: 'line', color: '#222222', strokeDash: [5, 4], strokeWidth: 1.5 },
              encoding: { x, y: { ...y, field: 'score' } },
            },
          ],
        };
      }),
      resolve: { scale: { color: 'shared', shape: 'shared' } },
    }),
  };
};

const rowOf = (length: number, { series, budget, score }: Average) =>
  score === undefined
    ? []
    : [
        {
          length,
          series,
          budget: budget === '' ? noBudget : budget,
          score: score.mean,
          low: score.low,
          high: score.high,
        },
      ];

const noBudget = 'none';
const sizeOf = (budget: string): number => (budget === noBudget ? Number.POSITIVE_INFINITY : Number.parseFloat(budget));

/** Vega expression that spells each length of the axis. */
const lengthExpression = (lengths: readonly number[]): string =>
  lengths.reduceRight((rest, length) => `datum.value == ${length} ? '${lengthLabel(length)}' : ${rest}`, "''");
