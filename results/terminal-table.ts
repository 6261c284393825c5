import Table from 'cli-table3';
import picocolors from 'picocolors';
import { type Average, averageSettings, distinct } from './averages.js';
import { differenceWithInterval, scoreWithInterval, share } from './numbers.js';
import { beatsRandom } from './report-markdown.js';
import type { RunSummary } from './summary.js';

export interface TableOptions {
  /** ANSI colours; off for pipes and NO_COLOR. */
  readonly colours: boolean;
}

/** The end of `winnow run`: one table per protocol, a row per setting averaged over tasks and lengths. At most 120 columns wide. */
export const terminalTable = (summary: RunSummary, { colours }: TableOptions): string => {
  const paint = picocolors.createColors(colours);
  const { run, cells } = summary;
  const protocols = distinct(cells.map(({ facts }) => facts.protocol)).sort();
  return protocols
    .map((protocol) => {
      const ours = cells.filter(({ facts }) => facts.protocol === protocol);
      const tasks = distinct(ours.map(({ facts }) => facts.taskName));
      const lengths = distinct(ours.map(({ facts }) => facts.contextLength));
      const averages = averageSettings(summary, ours);
      const title = `${run.suite.id} v${run.suite.version}, ${run.model.id}, ${protocol}: ${counted(tasks.length, 'task')} x ${counted(lengths.length, 'length')}`;
      const longest = Math.max(...averages.map(({ series }) => series.length));
      const plain = picocolors.createColors(false);
      const excess = Math.max(0, ...tableOf(averages, longest, plain).map((line) => line.length - widest));
      return [paint.bold(clipped(title, widest)), ...tableOf(averages, Math.max(8, longest - excess), paint)].join(
        '\n',
      );
    })
    .join('\n\n');
};

type Paint = ReturnType<typeof picocolors.createColors>;

const tableOf = (averages: readonly Average[], nameWidth: number, paint: Paint): string[] => {
  const table = new Table({
    head: [
      'method',
      'budget',
      'score [95 %]',
      'Δ dense [95 %]',
      'beats random',
      'recall',
      'KV÷dense',
      'read÷dense',
      'cells',
    ],
    colAligns: ['left', 'right', 'left', 'left', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 0 },
    chars: { ...noChars, middle: '  ', mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
  });
  for (const average of averages) table.push(rowOf(average, nameWidth, paint));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
};

const widest = 120;

const rowOf = (average: Average, nameWidth: number, paint: Paint): string[] => {
  const [first] = average.cells;
  const isControl = first?.facts.control === true;
  const beaten = beatsRandom(average.cells);
  const delta = average.deltaDense;
  const cells = [
    `${clipped(average.series, nameWidth)}${isControl ? ' (c)' : first?.facts.simulated === true ? ' (s)' : ''}`,
    average.budget,
    average.score === undefined ? '' : scoreWithInterval(average.score),
    delta === undefined ? '' : differenceWithInterval(delta),
    beaten,
    average.evidenceRecall === undefined ? '' : share(average.evidenceRecall),
    average.kvCacheShare === undefined ? '' : share(average.kvCacheShare),
    average.kvReadShare === undefined ? '' : share(average.kvReadShare),
    `${average.scored}/${average.planned}`,
  ];
  if (isControl) return cells.map((cell) => paint.dim(cell));
  if (delta !== undefined && delta.high < 0) cells[3] = paint.red(cells[3]!);
  if (delta !== undefined && delta.low > 0) cells[3] = paint.green(cells[3]!);
  if (beaten.startsWith('0/')) cells[4] = paint.yellow(beaten);
  if (average.scored < average.planned) cells[8] = paint.yellow(cells[8]!);
  return cells;
};

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

const clipped = (text: string, limit: number): string => (text.length > limit ? `${text.slice(0, limit - 1)}…` : text);

const noChars = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  right: '',
};
