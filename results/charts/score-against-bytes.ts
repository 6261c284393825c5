import { distinct } from '../averages.js';
import { type CellSummary, groupKey, type RunSummary } from '../summary.js';
import {
  type Chart,
  framed,
  legendBelow,
  lengthLabel,
  mebibytes,
  nameFor,
  octaves,
  type SeriesStyle,
  type SkippedChart,
  styleOf,
  whatWasRun,
} from './theme.js';

/** By number of columns: lengths stand side by side, tasks below each other. */
const panelWidths = [430, 430, 430, 340, 280, 280];
const mostColumns = panelWidths.length - 1;
const panelHeight = 190;
/** Pixels between points that have the same bytes, so that their intervals stand side by side. */
const dodgePixels = 7;
/** Free pixels left and right of the outermost points. */
const sidePixels = 14;

/** Score against measured resident KV bytes: a panel per task and length, an interval per setting, dense as a dashed line. */
export const scoreAgainstBytes = (
  summary: RunSummary,
  protocol: string,
  protocols: readonly string[],
): Chart | SkippedChart => {
  const name = nameFor('score-against-bytes', protocol, protocols);
  const cells = summary.cells.filter(
    ({ facts, record }) => facts.protocol === protocol && (record.aggregates?.kvCacheBytes ?? 0) > 0,
  );
  if (cells.length === 0) return { name, reason: 'no cell has a score and a cache' };
  const style = styleOf(cells);
  const panels = distinct(cells.map(({ facts }) => groupKey(facts))).map((key) =>
    cells.filter(({ facts }) => groupKey(facts) === key),
  );
  const columns = Math.min(mostColumns, distinct(cells.map(({ facts }) => facts.contextLength)).length);
  const panelWidth = panelWidths[columns]!;
  const legend = legendBelow(style.domain, columns * panelWidth);
  const title = 'Score against measured KV cache bytes';
  const subtitle = [
    `${whatWasRun(summary, protocol)}; bars: ${100 * summary.run.statistics.level} % bootstrap intervals; dashed: dense.`,
    'Settings of nearly equal bytes are drawn side by side around their place. A thin line joins the budgets of one method.',
  ];
  return {
    name,
    title,
    spec: framed(title, subtitle, {
      columns,
      spacing: { row: 26, column: 26 },
      concat: panels.map((panel, i) => panelOf(panel, style, panelWidth, i % columns === 0, legend)),
      resolve: { scale: { color: 'shared', shape: 'shared' } },
    }),
  };
};

const panelOf = (
  cells: readonly CellSummary[],
  style: SeriesStyle,
  panelWidth: number,
  isFirst: boolean,
  legend: object,
): object => {
  const { taskName, contextLength } = cells[0]!.facts;
  const rows = placed(cells, style.domain, panelWidth);
  const drawn = rows.map(({ drawnMiB }) => drawnMiB);
  const margin = (Math.max(...drawn) / Math.min(...drawn)) ** (sidePixels / panelWidth) * 1.03;
  const low = Math.min(...drawn) / margin;
  const high = Math.max(...drawn) * margin;
  const x = { type: 'quantitative', scale: { type: 'log', domain: [low, high], nice: false } };
  const axis = {
    values: octaves(low, high, 10),
    labelExpr: "format(datum.value, '~r')",
    title: 'resident KV cache (MiB, log scale)',
  };
  const y = {
    type: 'quantitative',
    scale: { domain: [-0.04, 1.04] },
    axis: { values: [0, 0.25, 0.5, 0.75, 1], format: '.2f', title: isFirst ? 'score (0–1)' : null },
  };
  const colour = {
    field: 'series',
    type: 'nominal',
    scale: { domain: style.domain, range: style.colours },
    legend: legend,
  };
  const shape = {
    field: 'series',
    type: 'nominal',
    scale: { domain: style.domain, range: style.shapes },
    legend: legend,
  };
  const dense = cells.find(({ facts }) => facts.method.id === 'dense');
  return {
    width: panelWidth,
    height: panelHeight,
    title: { text: `${taskName}, ${lengthLabel(contextLength)} tokens`, fontSize: 13, offset: 6, anchor: 'middle' },
    data: { values: rows },
    layer: [
      ...(dense === undefined
        ? []
        : [
            {
              data: { values: [{}] },
              mark: { type: 'rule', strokeDash: [5, 4], color: '#000000', opacity: 0.65 },
              encoding: { y: { ...y, datum: dense.record.aggregates!.score } },
            },
          ]),
      {
        mark: { type: 'line', strokeWidth: 1, opacity: 0.35 },
        encoding: { x: { ...x, field: 'drawnMiB', axis }, y: { ...y, field: 'score' }, color: colour },
      },
      {
        mark: { type: 'rule', strokeWidth: 1.6, opacity: 0.75 },
        encoding: { x: { ...x, field: 'drawnMiB' }, y: { ...y, field: 'low' }, y2: { field: 'high' }, color: colour },
      },
      {
        mark: { type: 'point', filled: true, size: 62, opacity: 1, stroke: '#ffffff', strokeWidth: 0.6 },
        encoding: {
          x: { ...x, field: 'drawnMiB' },
          y: { ...y, field: 'score' },
          color: colour,
          shape,
          tooltip: ['series', 'budget', 'score', 'low', 'high', 'MiB'].map((field) => ({
            field,
            type: field === 'series' || field === 'budget' ? 'nominal' : 'quantitative',
          })),
        },
      },
    ],
  };
};

/** Rows of a panel at the places where they are drawn. */
const placed = (cells: readonly CellSummary[], order: readonly string[], panelWidth: number) => {
  const bytes = cells.map(({ record }) => record.aggregates!.kvCacheBytes);
  /** Natural log of bytes, with some air at both sides. */
  const logPerPixel = Math.log((1.35 ** 2 * Math.max(...bytes)) / Math.min(...bytes)) / panelWidth;
  const inOrder = [...cells].sort((a, b) => order.indexOf(a.series) - order.indexOf(b.series));
  const places = spread(
    inOrder.map(({ record }) => Math.log(record.aggregates!.kvCacheBytes) / logPerPixel),
    Math.min(dodgePixels, (0.7 * panelWidth) / cells.length),
  );
  return inOrder.map(({ series, budget, record }, i) => {
    const { score, scoreLow, scoreHigh, kvCacheBytes } = record.aggregates!;
    return {
      series,
      budget,
      score,
      low: scoreLow,
      high: scoreHigh,
      MiB: mebibytes(kvCacheBytes),
      drawnMiB: mebibytes(Math.exp(places[i]! * logPerPixel)),
    };
  });
};

/**
 * Moves places apart to at least `gap`, as little as possible: neighbours that would overlap form a block around the mean of its members,
 * and blocks that meet are joined. Places nearer than `gap` / 2 keep the order in which they were given, others the order of their values.
 */
export const spread = (places: readonly number[], gap: number): number[] => {
  const order = places
    .map((_, i) => i)
    .sort((a, b) => Math.round((2 * places[a]!) / gap) - Math.round((2 * places[b]!) / gap) || a - b);
  const blocks: { members: number[]; centre: number }[] = [];
  for (const index of order) {
    let block = { members: [index], centre: places[index]! };
    for (let before = blocks.at(-1); before !== undefined; before = blocks.at(-1)) {
      const reach = ((before.members.length + block.members.length) / 2) * gap;
      if (block.centre - before.centre >= reach) break;
      blocks.pop();
      const members = [...before.members, ...block.members];
      block = { members, centre: members.reduce((total, member) => total + places[member]!, 0) / members.length };
    }
    blocks.push(block);
  }
  const moved = [...places];
  for (const { members, centre } of blocks)
    for (const [i, member] of members.entries()) moved[member] = centre + (i - (members.length - 1) / 2) * gap;
  return moved;
};
