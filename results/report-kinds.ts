import { mean } from '../core/statistics.js';
import { distinct } from './averages.js';
import { lengthLabel } from './charts/theme.js';
import { markdownTable, plain } from './markdown.js';
import { meansByKind, memoryAnswers, SAMPLE_KINDS } from './sample-kinds.js';
import { type CellSummary, groupKey } from './summary.js';

type Means = NonNullable<ReturnType<typeof meansByKind>>;
interface Split {
  readonly cell: CellSummary;
  readonly means: Means;
}

/** Scores by what samples are (LongBench-E's buckets, difficulty, question type, …); nothing where all are of one kind. */
export const kindSections = (cells: readonly CellSummary[]): string[] => {
  const tables = Object.entries(SAMPLE_KINDS).flatMap(([kind, name]) => {
    const splits = cells.flatMap((cell): Split[] => {
      const means = cell.record.aggregates === undefined ? undefined : meansByKind(cell.samples, kind);
      return means === undefined ? [] : [{ cell, means }];
    });
    const groups = distinct(splits.map(({ cell }) => groupKey(cell.facts))).map((key) =>
      splits.filter(({ cell }) => groupKey(cell.facts) === key),
    );
    return [...groups.flatMap((own) => groupTable(name, own)), ...overTasks(name, splits)];
  });
  if (tables.length === 0) return [];
  return ['## Scores by kind of sample', 'Mean score of the samples of each kind, with their number.', ...tables];
};

const heading = ({ facts }: CellSummary, name: string): string =>
  `### ${plain(facts.taskName)}, ${lengthLabel(facts.contextLength)} tokens, ${facts.protocol}: ${name}`;

const valuesOf = (splits: readonly Split[]): string[] => distinct(splits.flatMap(({ means }) => [...means.keys()]));

const groupTable = (name: string, splits: readonly Split[]): string[] => {
  const values = valuesOf(splits);
  const rows = splits.map(({ cell, means }) => [
    ...settingCells(cell),
    ...values.map((value) => {
      const found = means.get(value);
      return found === undefined ? '' : `${found.score.toFixed(2)} (${found.samples})`;
    }),
  ]);
  return [heading(splits[0]!.cell, name), tableOf(values, rows)];
};

/** Of each setting that several tasks split alike: the mean over the tasks, each counted once. */
const overTasks = (name: string, splits: readonly Split[]): string[] => {
  const conditions = distinct(splits.map(({ cell }) => conditionOf(cell)));
  return conditions.flatMap((condition) => {
    const own = splits.filter(({ cell }) => conditionOf(cell) === condition);
    const tasks = distinct(own.map(({ cell }) => cell.facts.taskName)).length;
    if (tasks < 2) return [];
    const values = valuesOf(own);
    const settings = distinct(own.map(({ cell }) => settingCells(cell).join('\n')));
    const rows = settings.map((setting) => {
      const alike = own.filter(({ cell }) => settingCells(cell).join('\n') === setting);
      const scores = values.map((value) => alike.flatMap(({ means }) => means.get(value)?.score ?? []));
      return [
        ...setting.split('\n'),
        ...scores.map((of) => (of.length === 0 ? '' : `${mean(of).toFixed(2)} (${of.length})`)),
      ];
    });
    const { contextLength, protocol } = own[0]!.cell.facts;
    const title = `### ${tasks} tasks, ${lengthLabel(contextLength)} tokens, ${protocol}: ${name}`;
    return [title, 'Means over tasks, with the number of tasks.', tableOf(values, rows)];
  });
};

const conditionOf = ({ facts }: CellSummary): string => `${facts.contextLength} ${facts.protocol}`;

const settingCells = (cell: CellSummary): [string, string] => [
  `${plain(cell.series)}${cell.facts.control ? ' (c)' : ''}`,
  cell.budget,
];

const tableOf = (values: readonly string[], rows: readonly (readonly string[])[]): string =>
  markdownTable(['method', 'budget', ...values.map(plain)], rows, [
    'left',
    'right',
    ...values.map(() => 'right' as const),
  ]);

/** Answers from the context and from memory, of tasks whose context contradicts what a model knows; nothing where none does. */
export const memorySections = (cells: readonly CellSummary[]): string[] => {
  const rows = cells.flatMap((cell) => {
    const counts = cell.record.aggregates === undefined ? undefined : memoryAnswers(cell.samples);
    if (counts === undefined) return [];
    const { taskName, contextLength, protocol } = cell.facts;
    const where = [plain(taskName), lengthLabel(contextLength), protocol, ...settingCells(cell)];
    return [[...where, String(counts.fromContext), String(counts.fromMemory), String(counts.neither)]];
  });
  if (rows.length === 0) return [];
  return [
    '## Answers from memory',
    'The context contradicts what a model may know: how many answers take its word, how many name what is known instead, and how many neither.',
    markdownTable(
      ['task', 'length', 'protocol', 'method', 'budget', 'from the context', 'from memory', 'neither'],
      rows,
      ['left', 'right', 'left', 'left', 'right', 'right', 'right', 'right'],
    ),
  ];
};
