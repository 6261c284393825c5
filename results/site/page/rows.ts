/** Rows of the table and their columns: settings, or the cells of settings. */
import { bytesText, deltaText, percentText, rankText, scoreText, shareText, timeText } from '../cell-text.js';
import { type Setting, type SiteData, settingName } from '../site-data.js';
import type { State } from './state.js';

export interface Row {
  readonly setting: Setting;
  /** Place of the setting in the order of the table without a script. */
  readonly place: number;
  /** Place of the cell in the columns of the data; -1 for a setting. */
  readonly cell: number;
}

export interface Column {
  readonly id: string;
  readonly head: string;
  readonly isText?: boolean;
  /** Largest first at the first click. */
  readonly isMore?: boolean;
  sortBy(row: Row): number | string | null;
  text(row: Row): string;
}

export const settingRows = ({ settings }: SiteData): Row[] =>
  settings.map((setting, place) => ({ setting, place, cell: -1 }));

export const cellRows = ({ settings, cells }: SiteData): Row[] =>
  cells.setting.map((place, cell) => ({ setting: settings[place]!, place, cell }));

export const columnsOf = (data: SiteData, rows: State['rows']): Column[] =>
  rows === 'settings' ? settingColumns : cellColumns(data);

const name: Column = {
  id: 'name',
  head: 'setting',
  isText: true,
  sortBy: ({ setting }) => settingName(setting),
  text: ({ setting }) => settingName(setting),
};

type NumberKey = { [K in keyof Setting]: Setting[K] extends number | null ? K : never }[keyof Setting];
const number = (
  id: NumberKey & string,
  head: string,
  text: (value: number | null) => string,
  isMore = false,
): Column => ({
  id,
  head,
  isMore,
  sortBy: ({ setting }) => setting[id],
  text: ({ setting }) => text(setting[id]),
});

const settingColumns: Column[] = [
  name,
  {
    id: 'rank',
    head: 'rank',
    sortBy: ({ setting }) => setting.rank,
    text: ({ setting }) => rankText(setting),
  },
  { ...number('score', 'score', shareText, true), text: ({ setting }) => scoreText(setting.estimate) },
  number('scoreKept', 'kept', percentText, true),
  {
    id: 'delta',
    head: 'Δ dense',
    isMore: true,
    sortBy: ({ setting }) => setting.delta?.mean ?? null,
    text: ({ setting }) => deltaText(setting.delta),
  },
  number('kvCacheBytes', 'cache MiB', bytesText),
  number('kvCacheShare', 'cache ÷ dense', shareText),
  number('kvBytesRead', 'read MiB', bytesText),
  number('kvReadShare', 'read ÷ dense', shareText),
  number('timeToFirstTokenMs', 'first token ms', timeText),
  number('decodeMsPerToken', 'ms per token', timeText),
  number('peakBytes', 'peak MiB', bytesText),
  number('evidenceRecall', 'recall', shareText, true),
  {
    id: 'cells',
    head: 'cells',
    isMore: true,
    sortBy: ({ setting }) => setting.scored,
    text: ({ setting: { scored, planned } }) => (scored === planned ? String(planned) : `${scored} of ${planned}`),
  },
];

const cellColumns = ({ cells, tasks }: SiteData): Column[] => {
  const column = (
    id:
      | 'score'
      | 'delta'
      | 'evidenceRecall'
      | 'kvCacheBytes'
      | 'kvBytesRead'
      | 'timeToFirstTokenMs'
      | 'decodeMsPerToken'
      | 'peakBytes',
    head: string,
    text: (value: number | null) => string,
    isMore = false,
  ): Column => ({
    id,
    head,
    isMore,
    sortBy: ({ cell }) => cells[id][cell]!,
    text: ({ cell }) => text(cells[id][cell]!),
  });
  const interval = (mean: number | null, low: number | null, high: number | null) =>
    mean === null ? null : { mean, low: low ?? mean, high: high ?? mean };
  return [
    name,
    {
      id: 'task',
      head: 'task',
      isText: true,
      sortBy: ({ cell }) => tasks[cells.task[cell]!]!,
      text: ({ cell }) => tasks[cells.task[cell]!]!,
    },
    {
      id: 'length',
      head: 'length',
      sortBy: ({ cell }) => cells.length[cell]!,
      text: ({ cell }) => String(cells.length[cell]!),
    },
    {
      ...column('score', 'score', shareText, true),
      text: ({ cell }) => scoreText(interval(cells.score[cell]!, cells.low[cell]!, cells.high[cell]!)),
    },
    {
      ...column('delta', 'Δ dense', shareText, true),
      text: ({ cell }) => deltaText(interval(cells.delta[cell]!, cells.deltaLow[cell]!, cells.deltaHigh[cell]!)),
    },
    column('kvCacheBytes', 'cache MiB', bytesText),
    column('kvBytesRead', 'read MiB', bytesText),
    column('timeToFirstTokenMs', 'first token ms', timeText),
    column('decodeMsPerToken', 'ms per token', timeText),
    column('peakBytes', 'peak MiB', bytesText),
    column('evidenceRecall', 'recall', shareText, true),
    {
      id: 'n',
      head: 'n',
      isMore: true,
      sortBy: ({ cell }) => cells.n[cell]!,
      text: ({ cell }) => String(cells.n[cell]!),
    },
  ];
};

/** Whether a setting is among those asked for. */
export const settingFilter = (data: SiteData, state: State): ((setting: Setting) => boolean) => {
  const words = state.q
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  const is = (wanted: string, value: string): boolean => wanted === '' || wanted === value;
  const hidden = new Set(state.hide);
  return (setting) => {
    if (hidden.has('controls') && setting.control && setting.method !== 'dense') return false;
    if (hidden.has('simulated') && setting.simulated) return false;
    if (hidden.has('stand-in') && setting.standIn) return false;
    if (
      !is(state.board, String(setting.board)) ||
      !is(state.protocol, setting.protocol) ||
      !is(state.axis, setting.axis) ||
      !is(state.family, setting.family) ||
      !is(state.method, setting.method) ||
      !is(state.budget, setting.budget) ||
      !is(state.badge, setting.badge)
    )
      return false;
    if (words.length === 0) return true;
    const { suite, model } = data.boards[setting.board]!;
    const text = `${settingName(setting)} ${setting.family} ${setting.run} ${suite} ${model}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
};

export const shownSettings = (data: SiteData, state: State): Setting[] =>
  data.settings.filter(settingFilter(data, state));

/** Of one board even where none is chosen: suites and models do not share axes. */
export const oneBoard = (data: SiteData, state: State): Setting[] =>
  shownSettings(data, state.board === '' && data.boards.length > 1 ? { ...state, board: '0' } : state);

/** Rows that pass the filters, in the order asked for; what was not measured stands last either way. */
export const shownRows = (data: SiteData, all: readonly Row[], state: State): Row[] => {
  const passes = settingFilter(data, state);
  const wanted = data.settings.map(passes);
  const { task, length } = data.cells;
  const rows = all.filter(
    ({ place, cell }) =>
      wanted[place] === true &&
      (cell < 0 ||
        ((state.task === '' || data.tasks[task[cell]!] === state.task) &&
          (state.length === '' || String(length[cell]) === state.length))),
  );
  const isDown = state.sort.startsWith('-');
  const column = columnsOf(data, state.rows).find(({ id }) => id === state.sort.replace(/^-/, ''));
  if (column === undefined) return rows;
  const sign = isDown ? -1 : 1;
  const keyed = rows.map((row) => ({ row, key: column.sortBy(row) }));
  keyed.sort(({ row: a, key: x }, { row: b, key: y }) => {
    if (x === y) return a.place - b.place || a.cell - b.cell;
    if (x === null) return 1;
    if (y === null) return -1;
    return x < y ? -sign : sign;
  });
  return keyed.map(({ row }) => row);
};
