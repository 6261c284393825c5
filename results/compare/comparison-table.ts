import { stringify } from 'csv-stringify/sync';
import type { RatioEstimate } from '../../core/statistics/ratios.js';
import { formatLength } from '../../core/units.js';
import { markdownTable, plain } from '../markdown.js';
import { differenceWithInterval, share } from '../numbers.js';
import type { Comparison, ComparisonRow } from './comparison.js';
import { type TimeQuantity, timeQuantities } from './time-ratios.js';

/** A comparison as text: tables for people, one CSV for programs. */

const heads = [
  'task',
  'length',
  'setting',
  'against',
  'n',
  '−/+',
  'score',
  'Δ',
  'p',
  'p Holm',
  'MDE',
  'KV÷',
  'read÷',
  'verdict',
];

/** Rows of strings, heads first; `where` leaves out the columns that only one table has. */
export const comparisonTable = (rows: readonly ComparisonRow[], runsShown: boolean): string[][] => {
  const hasPlace = rows.some(({ task }) => task !== undefined);
  const keep = (row: readonly string[]): string[] => (hasPlace ? [...row] : row.slice(2));
  return [
    [...(runsShown ? ['run'] : []), ...keep(heads)],
    ...rows.map((row) => [
      ...(runsShown ? [row.run] : []),
      ...keep([
        row.task ?? '',
        row.contextLength === undefined ? '' : formatLength(row.contextLength),
        row.setting,
        row.against,
        String(row.pairs),
        `${row.worse}/${row.better}`,
        `${share(row.otherScore)} → ${share(row.score)}`,
        differenceWithInterval(row.difference),
        pText(row.p),
        pText(row.pAdjusted),
        row.detectable === undefined ? '–' : share(row.detectable),
        ratioText(row.ratios.kvCacheBytes),
        ratioText(row.ratios.kvBytesReadPerStep),
        row.verdict === 'inconclusive' ? `inconclusive (${row.pairsForMargin} pairs for the margin)` : row.verdict,
      ]),
    ]),
  ];
};

/** Times ÷ those of the other setting, for rows that have them. */
export const timesTable = (rows: readonly ComparisonRow[]): string[][] => [
  ['task', 'length', 'setting', 'against', 'prefill', 'first token', 'decode'],
  ...rows
    .filter(({ times }) => times !== undefined)
    .map(({ task = '', contextLength = 0, setting, against, times = {} }) => [
      task,
      formatLength(contextLength),
      setting,
      against,
      ...timeQuantities.map((quantity) => intervalText(times[quantity])),
    ]),
];

/** What stands above and below the tables. */
export const comparisonNotes = (comparison: Comparison): string[] => {
  const { base, others, margin, alpha, level, settings, cells, unpaired } = comparison;
  const isSimulated = [...settings, ...cells].some(({ method }) => method === 'monte-carlo');
  return [
    others.length === 0 ? `settings of ${base}` : `compared with ${base}`,
    ...others.map(
      ({ dir, differences }) => `${dir}: ${differences.length === 0 ? 'nothing else differs' : differences.join('; ')}`,
    ),
    `Δ on the same samples with ${100 * level} % interval; two-sided exact p${isSimulated ? ' (simulated where scores have no common step)' : ''}; margin ${margin}, alpha ${alpha} after Holm over each table; MDE: smallest Δ found with a power of 0.8.`,
    ...(unpaired.length === 0
      ? []
      : [`${unpaired.length} cells are not compared, first ${unpaired[0]!.cell}: ${unpaired[0]!.reason}`]),
  ];
};

/** The whole comparison as Markdown. */
export const comparisonMarkdown = (comparison: Comparison): string => {
  const runsShown = comparison.others.length > 1;
  const asMarkdown = ([head = [], ...rows]: readonly (readonly string[])[]): string =>
    markdownTable(
      head,
      rows.map((row) => row.map(plain)),
      head.map(() => 'left' as const),
    );
  const timed = timesTable(comparison.cells);
  const [title = '', ...notes] = comparisonNotes(comparison).map(plain);
  return `${[
    `# Comparison: ${title}`,
    ...notes,
    '## Settings over all cells',
    asMarkdown(comparisonTable(comparison.settings, runsShown)),
    '## By task and length',
    asMarkdown(comparisonTable(comparison.cells, runsShown)),
    ...(timed.length > 1 ? ['## Times', asMarkdown(timed)] : []),
  ].join('\n\n')}\n`;
};

type Value = string | number | boolean | undefined;
const timeColumns = timeQuantities.flatMap((quantity) =>
  (['ratio', 'low', 'high'] as const).map((part): [string, (row: ComparisonRow) => Value] => [
    timeName(quantity, part),
    ({ times }) => times?.[quantity]?.[part],
  ]),
);
const columns: readonly (readonly [string, (row: ComparisonRow) => Value])[] = [
  ['run', ({ run }) => run],
  ['task', ({ task }) => task],
  ['contextLength', ({ contextLength }) => contextLength],
  ['protocol', ({ protocol }) => protocol],
  ['setting', ({ setting }) => setting],
  ['against', ({ against }) => against],
  ['cells', ({ cells }) => cells],
  ['pairs', ({ pairs }) => pairs],
  ['worse', ({ worse }) => worse],
  ['better', ({ better }) => better],
  ['score', ({ score }) => score],
  ['otherScore', ({ otherScore }) => otherScore],
  ['difference', ({ difference }) => difference.mean],
  ['differenceLow', ({ difference }) => difference.low],
  ['differenceHigh', ({ difference }) => difference.high],
  ['test', ({ test }) => test],
  ['testMethod', ({ method }) => method],
  ['p', ({ p }) => p],
  ['pStandardError', ({ pStandardError }) => pStandardError],
  ['pHolm', ({ pAdjusted }) => pAdjusted],
  ['detectable', ({ detectable }) => detectable],
  ['pairsForMargin', ({ pairsForMargin }) => pairsForMargin],
  ['kvCacheBytesRatio', ({ ratios }) => ratios.kvCacheBytes],
  ['kvBytesReadRatio', ({ ratios }) => ratios.kvBytesReadPerStep],
  ['superiorityAsked', ({ superiorityAsked }) => superiorityAsked],
  ['verdict', ({ verdict }) => verdict],
  ...timeColumns,
];

/** One row per setting (task and length empty), then one per cell; numbers whole, what was not measured empty. */
export const comparisonCsv = ({ settings, cells }: Comparison): string =>
  stringify(
    [...settings, ...cells].map((row) => columns.map(([, read]) => read(row))),
    {
      header: true,
      columns: columns.map(([name]) => ({ key: name, header: name })),
      record_delimiter: 'unix',
      escape_formulas: true,
      cast: { boolean: (value) => (value ? 'true' : 'false') },
    },
  );

function timeName(quantity: TimeQuantity, part: keyof RatioEstimate): string {
  return `${quantity}Ratio${part === 'ratio' ? '' : part === 'low' ? 'Low' : 'High'}`;
}

const pText = (p: number): string => (p < 0.001 ? p.toExponential(0) : p.toFixed(3));
const ratioText = (ratio: number | undefined): string => (ratio === undefined ? '' : share(ratio));
const intervalText = (estimate: RatioEstimate | undefined): string =>
  estimate === undefined ? '' : `${share(estimate.ratio)} [${share(estimate.low)}, ${share(estimate.high)}]`;
