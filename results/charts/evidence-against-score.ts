import { distinct } from '../averages.js';
import { KEPT_FROM } from '../evidence.js';
import { type CellSummary, groupKey, type RunSummary } from '../summary.js';
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

const panelWidth = 260;
const panelHeight = 200;
const mostColumns = 3;

/**
 * Score against evidence recall, a panel per task and length: low on the left a method lost the evidence, low on the right it had it and
 * failed. Undefined where no cell says what became of its evidence.
 */
export const evidenceAgainstScore = (
  summary: RunSummary,
  protocol: string,
  protocols: readonly string[],
): Chart | SkippedChart => {
  const name = nameFor('evidence-against-score', protocol, protocols);
  const cells = summary.cells.filter(
    ({ facts, record }) => facts.protocol === protocol && record.aggregates?.evidenceRecall !== undefined,
  );
  if (cells.length === 0) return { name, reason: 'no sample has evidence spans' };
  const style = styleOf(cells);
  const panels = distinct(cells.map(({ facts }) => groupKey(facts)));
  const columns = Math.min(mostColumns, panels.length);
  const title = 'Score against evidence recall';
  return {
    name,
    title,
    spec: framed(
      title,
      [
        `${whatWasRun(summary, protocol)}; bars: ${100 * summary.run.statistics.level} % bootstrap intervals.`,
        `Recall: share of the evidence in the cache, or read. Right of the dotted line (${KEPT_FROM}) the evidence was there: a low score is a failure to use it.`,
      ],
      {
        columns,
        spacing: { row: 26, column: 26 },
        concat: panels.map((key, i) =>
          panelOf(
            cells.filter(({ facts }) => groupKey(facts) === key),
            style,
            i % columns === 0,
            legendBelow(style.domain, columns * panelWidth),
          ),
        ),
        resolve: { scale: { color: 'shared', shape: 'shared' } },
      },
    ),
  };
};

const panelOf = (cells: readonly CellSummary[], style: SeriesStyle, isFirst: boolean, legend: object): object => {
  const { taskName, contextLength } = cells[0]!.facts;
  const quarters = { values: [0, 0.25, 0.5, 0.75, 1], format: '.2f' };
  const scale = { domain: [-0.04, 1.04] };
  const x = { type: 'quantitative', scale, axis: { ...quarters, title: 'evidence recall (share)' } };
  const y = { type: 'quantitative', scale, axis: { ...quarters, title: isFirst ? 'score (0–1)' : null } };
  const color = { field: 'series', type: 'nominal', scale: { domain: style.domain, range: style.colours }, legend };
  return {
    width: panelWidth,
    height: panelHeight,
    title: heading(`${taskName}, ${lengthLabel(contextLength)} tokens`),
    data: { values: cells.map(rowOf) },
    layer: [
      {
        data: { values: [{}] },
        mark: { type: 'rule', strokeDash: [2, 3], color: '#555555' },
        encoding: { x: { ...x, datum: KEPT_FROM } },
      },
      {
        mark: { type: 'rule', strokeWidth: 1.4, opacity: 0.6 },
        encoding: { x: { ...x, field: 'recall' }, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
      },
      {
        mark: { type: 'point', filled: true, size: 62, opacity: 1, stroke: '#ffffff', strokeWidth: 0.6 },
        encoding: {
          x: { ...x, field: 'recall' },
          y: { ...y, field: 'score' },
          color,
          shape: { ...color, scale: { domain: style.domain, range: style.shapes } },
        },
      },
    ],
  };
};

const rowOf = ({ series, budget, record }: CellSummary) => {
  const { score, scoreLow, scoreHigh, evidenceRecall } = record.aggregates!;
  return { series, budget, recall: evidenceRecall!, score, low: scoreLow, high: scoreHigh };
};
