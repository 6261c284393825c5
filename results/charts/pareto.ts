import { geometricMean } from '../../core/statistics.js';
import { type Average, averageSettings, distinct, isDense } from '../averages.js';
import { type CellSummary, type CellTimes, groupKey, type RunSummary } from '../summary.js';
import {
  type Chart,
  framed,
  heading,
  legendBelow,
  lengthLabel,
  nameFor,
  type SeriesStyle,
  type SkippedChart,
  styleOf,
  whatWasRun,
} from './theme.js';

const panelWidth = 250;
const panelHeight = 190;

/** What a panel has on its horizontal axis: a cost as a share of dense's, below 1 is cheaper. */
interface Cost {
  readonly title: string;
  of(average: Average, dense: ReadonlyMap<string, CellSummary>): number | undefined;
}

/** One point of a front: `cost` is better when small, `score` when large. */
export interface Tradeoff {
  readonly cost: number;
  readonly score: number;
}

/** The points that no other beats: none is at least as good in both and better in one. Sorted by cost. */
export const paretoFront = <T extends Tradeoff>(points: readonly T[]): T[] =>
  points
    .filter(
      ({ cost, score }) =>
        !points.some(
          (other) => other.cost <= cost && other.score >= score && (other.cost < cost || other.score > score),
        ),
    )
    .sort((a, b) => a.cost - b.cost || b.score - a.score);

/** Score kept against each cost, a row of panels per length; the front of the methods as a line, what it beats faded. */
export const pareto = (summary: RunSummary, protocol: string, protocols: readonly string[]): Chart | SkippedChart => {
  const name = nameFor('pareto', protocol, protocols);
  const cells = summary.cells.filter(({ facts }) => facts.protocol === protocol);
  const dense = new Map(cells.filter(isDense).map((cell) => [groupKey(cell.facts), cell]));
  const lengths = distinct(cells.map(({ facts }) => facts.contextLength)).sort((a, b) => a - b);
  const rows = lengths.map((length) => {
    const own = cells.filter(({ facts }) => facts.contextLength === length);
    return {
      length,
      averages: averageSettings(summary, own),
      tasks: distinct(own.map(({ facts }) => facts.taskName)).length,
    };
  });
  const drawn = costs.filter((cost) =>
    rows.some(({ averages }) => averages.some((average) => pointOf(average, averages, cost, dense) !== undefined)),
  );
  if (drawn.length === 0) return { name, reason: 'dense has no score above 0, or no method has one' };
  const style = styleOf(cells);
  const all = rows.flatMap(({ averages }) =>
    drawn.flatMap((cost) => averages.flatMap((average) => pointOf(average, averages, cost, dense) ?? [])),
  );
  const range = [Math.min(0, ...all.map(({ low }) => low)), 0.05 + Math.max(1, ...all.map(({ high }) => high))];
  const title = 'What is kept of the score, against what it costs';
  return {
    name,
    title,
    spec: framed(
      title,
      [
        `${whatWasRun(summary, protocol)}; mean over the tasks, bars: ${100 * summary.run.statistics.level} % intervals of the paired difference.`,
        'Both axes relative to dense (dashed). Line: front of the methods; controls, simulated methods and untrained stand-ins are never on it.',
      ],
      {
        columns: drawn.length,
        // Axes and headings stand in the spaces, so that all panels of a row begin at one height.
        bounds: 'flush',
        spacing: { row: 84, column: 66 },
        concat: rows.flatMap(({ length, averages, tasks }) =>
          drawn.map((cost, i) =>
            panelOf(
              `${lengthLabel(length)} tokens, ${tasks} task${tasks === 1 ? '' : 's'}`,
              averages.flatMap((average) => pointOf(average, averages, cost, dense) ?? []),
              cost,
              style,
              range,
              i === 0,
              legendBelow(style.domain, drawn.length * panelWidth),
            ),
          ),
        ),
        resolve: { scale: { color: 'shared', shape: 'shared', x: 'independent' } },
      },
    ),
  };
};

const timeShare =
  (read: (times: CellTimes) => number): Cost['of'] =>
  ({ cells }, dense) => {
    const ratios = cells.flatMap(({ facts, times }) => {
      const theirs = dense.get(groupKey(facts))?.times;
      return times === undefined || theirs === undefined ? [] : [read(times) / read(theirs)];
    });
    return ratios.length === 0 ? undefined : geometricMean(ratios);
  };

const costs: readonly Cost[] = [
  { title: 'resident KV bytes (share of dense)', of: ({ kvCacheShare }) => kvCacheShare },
  { title: 'KV bytes read per step (share of dense)', of: ({ kvReadShare }) => kvReadShare },
  { title: 'time to first token (share of dense)', of: timeShare(({ timeToFirstTokenMs }) => timeToFirstTokenMs) },
  { title: 'time per token (share of dense)', of: timeShare(({ decodeMsPerToken }) => decodeMsPerToken) },
];

/** Only settings with a score in every cell: a mean over fewer tasks is another mean. */
const pointOf = (
  average: Average,
  averages: readonly Average[],
  cost: Cost,
  dense: ReadonlyMap<string, CellSummary>,
) => {
  const reference = averages.find(({ series }) => series === 'dense')?.score?.mean ?? 0;
  const at = cost.of(average, dense);
  const { series, budget, score, deltaDense, cells } = average;
  const isDense = series === 'dense';
  if (at === undefined || score === undefined || reference <= 0 || average.scored < average.planned) return undefined;
  if (!isDense && deltaDense === undefined) return undefined;
  const { control, simulated, training } = cells[0]!.facts;
  return {
    series,
    budget: budget === '' ? 'none' : budget,
    cost: at,
    score: isDense ? 1 : 1 + deltaDense!.mean / reference,
    low: isDense ? 1 : 1 + deltaDense!.low / reference,
    high: isDense ? 1 : 1 + deltaDense!.high / reference,
    ranks: !control && !simulated && training !== 'untrained-stand-in',
  };
};

const panelOf = (
  title: string,
  points: readonly NonNullable<ReturnType<typeof pointOf>>[],
  cost: Cost,
  style: SeriesStyle,
  range: readonly number[],
  isFirst: boolean,
  legend: object,
): object => {
  const front = paretoFront(points.filter(({ ranks }) => ranks));
  const onFront = new Set(front);
  const x = {
    type: 'quantitative',
    scale: { zero: true, nice: true },
    axis: { title: cost.title, tickCount: 5, format: '~g' },
  };
  const y = {
    type: 'quantitative',
    scale: { domain: range },
    axis: { format: '.0%', tickCount: 5, title: isFirst ? 'score kept' : null },
  };
  const color = { field: 'series', type: 'nominal', scale: { domain: style.domain, range: style.colours }, legend };
  const rule = { type: 'rule', strokeDash: [5, 4], color: '#000000', opacity: 0.5 };
  // Marks without points have no extent, which Vega warns of.
  if (points.length === 0) {
    const mark = { type: 'text', text: 'not measured at this length', color: '#555555' };
    return { width: panelWidth, height: panelHeight, title: heading(title), data: { values: [{}] }, mark };
  }
  return {
    width: panelWidth,
    height: panelHeight,
    title: heading(title),
    layer: [
      { data: { values: [{}] }, mark: rule, encoding: { y: { ...y, datum: 1 } } },
      { data: { values: [{}] }, mark: rule, encoding: { x: { ...x, datum: 1 } } },
      ...(front.length === 0
        ? []
        : [
            {
              data: { values: front },
              mark: { type: 'line', interpolate: 'step-after', color: '#222222', strokeWidth: 1.6 },
              encoding: { x: { ...x, field: 'cost' }, y: { ...y, field: 'score' } },
            },
          ]),
      {
        data: { values: points.map((point) => ({ ...point, shown: onFront.has(point) || !point.ranks ? 1 : 0.5 })) },
        layer: [
          {
            mark: { type: 'rule', strokeWidth: 1.2 },
            encoding: {
              x: { ...x, field: 'cost' },
              y: { ...y, field: 'low' },
              y2: { field: 'high' },
              color,
              opacity: { value: 0.4 },
            },
          },
          {
            mark: { type: 'point', filled: true, size: 66, stroke: '#ffffff', strokeWidth: 0.6 },
            encoding: {
              x: { ...x, field: 'cost' },
              y: { ...y, field: 'score' },
              color,
              shape: { ...color, scale: { domain: style.domain, range: style.shapes } },
              opacity: { field: 'shown', type: 'quantitative', scale: null },
            },
          },
        ],
      },
    ],
  };
};
