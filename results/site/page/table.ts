/** The sortable table: a hundred rows at a time. */
import { rankingTitle } from '../board-names.js';
import { marksOf, rankTitle } from '../cell-text.js';
import { rankingKey, type SiteData, settingName } from '../site-data.js';
import { csvText } from './csv.js';
import { badge, button, element, isolated, offerFile, scrolling } from './dom.js';
import { type Column, cellRows, columnsOf, type Row, settingRows, shownRows } from './rows.js';
import { MOST_CHOSEN, type State } from './state.js';

const PAGE_ROWS = 100;

export type Change = (changes: Partial<State>) => void;

export const createTable = (data: SiteData, change: Change) => {
  const ofSettings = settingRows(data);
  let ofCells: Row[] | undefined;
  const allRows = (state: State): Row[] => {
    if (state.rows === 'settings') return ofSettings;
    ofCells ??= cellRows(data);
    return ofCells;
  };
  return (state: State): { nodes: Node[]; count: string } => {
    const rows = shownRows(data, allRows(state), state);
    const columns = columnsOf(data, state.rows);
    const pages = Math.max(1, Math.ceil(rows.length / PAGE_ROWS));
    const page = Math.min(state.page, pages);
    const shown = rows.slice((page - 1) * PAGE_ROWS, page * PAGE_ROWS);
    const grouped = state.rows === 'settings' && !columns.some(({ id }) => id === state.sort.replace(/^-/, ''));
    const head = element('thead', {}, [
      element('tr', {}, [
        element('th', { class: 'text', scope: 'col' }, ['compare']),
        ...columns.map((column) => headCell(column, state, change)),
        element('th', { class: 'text', scope: 'col' }, ['marks']),
        element('th', { class: 'text', scope: 'col' }, ['run']),
      ]),
    ]);
    const body = element('tbody');
    let group = '';
    for (const row of shown) {
      const { setting } = row;
      const key = setting.control ? `${setting.board} ${setting.protocol}` : rankingKey(setting);
      if (grouped && key !== group)
        body.append(
          element('tr', {}, [
            element('th', { class: 'group', scope: 'colgroup', colspan: columns.length + 3 }, [
              isolated(rankingTitle(setting, data.boards)),
            ]),
          ]),
        );
      group = key;
      body.append(tableRow(row, columns, state, change));
    }
    const table = element('table', { id: 'table' }, [
      element('caption', {}, [
        state.rows === 'settings'
          ? 'One row per setting, means over its cells. Equal ranks (=) are ties.'
          : 'One row per cell: a setting on one task and length.',
      ]),
      head,
      body,
    ]);
    const save = (): void => offerFile('winnow-rows.csv', 'text/csv;charset=utf-8', csvText(columns, rows));
    return {
      count: `${rows.length} ${state.rows}`,
      nodes: [
        element('div', { class: 'bar' }, [
          ...(['settings', 'cells'] as const).map((kind) =>
            button(`by ${kind.slice(0, -1)}`, { 'aria-pressed': String(state.rows === kind), id: `rows-${kind}` }, () =>
              change({
                rows: kind,
                page: 1,
                sort: 'ranking',
                ...(kind === 'settings' ? { task: '', length: '' } : {}),
              }),
            ),
          ),
          button('order of rankings', { 'aria-pressed': String(grouped), id: 'sort-ranking' }, () =>
            change({ sort: 'ranking', page: 1 }),
          ),
          button('rows as CSV', { id: 'save-rows' }, save),
          ...pager(page, pages, change),
        ]),
        scrolling('table of results', table),
      ],
    };
  };
};

const pager = (page: number, pages: number, change: Change): HTMLElement[] =>
  pages === 1
    ? []
    : [
        button('previous', { disabled: page === 1, id: 'previous' }, () => change({ page: page - 1 })),
        element('span', {}, [`page ${page} of ${pages}`]),
        button('next', { disabled: page === pages, id: 'next' }, () => change({ page: page + 1 })),
      ];

const headCell = ({ id, head, isText, isMore }: Column, { sort }: State, change: Change): HTMLElement => {
  const isSorted = sort.replace(/^-/, '') === id;
  const isDown = sort.startsWith('-');
  const first = isMore === true ? `-${id}` : id;
  const next = !isSorted ? first : isDown ? id : `-${id}`;
  return element(
    'th',
    {
      scope: 'col',
      class: isText === true ? 'text' : undefined,
      'aria-sort': isSorted ? (isDown ? 'descending' : 'ascending') : undefined,
    },
    [button(head, { id: `sort-${id}` }, () => change({ sort: next, page: 1 }))],
  );
};

const tableRow = (row: Row, columns: readonly Column[], state: State, change: Change): HTMLElement => {
  const { setting } = row;
  const name = settingName(setting);
  const box = element('input', {
    type: 'checkbox',
    id: `box-${setting.id}-${row.cell}`,
    'aria-label': `compare ${name}, ${setting.protocol}`,
    'data-setting': setting.id,
  });
  box.checked = state.chosen.includes(setting.id);
  box.disabled = !box.checked && state.chosen.length >= MOST_CHOSEN;
  box.addEventListener('change', () =>
    change({
      chosen: box.checked ? [...state.chosen, setting.id] : state.chosen.filter((id) => id !== setting.id),
    }),
  );
  return element('tr', {}, [
    element('td', {}, [box]),
    ...columns.map((column) =>
      column.id === 'name'
        ? element('th', { scope: 'row' }, [element('a', { href: setting.page }, [isolated(name)])])
        : element(
            'td',
            {
              class: column.isText === true ? 'text' : undefined,
              title: column.id === 'rank' ? rankTitle(setting) : undefined,
            },
            [column.isText === true ? isolated(column.text(row)) : column.text(row)],
          ),
    ),
    element('td', { class: 'text' }, [...marksOf(setting).flatMap((mark) => [badge(mark), ' ']), badge(setting.badge)]),
    element('td', { class: 'text' }, [isolated(setting.run)]),
  ]);
};
