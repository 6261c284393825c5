/** The first page's script: reads the data in the page, shows one view, keeps the state in the address. */
import type { SiteData } from '../site-data.js';
import { createCompare } from './compare.js';
import { button, element } from './dom.js';
import { createFilters } from './filters.js';
import { createDepthMap, createLengthMap } from './heat.js';
import { createPareto } from './pareto.js';
import { formatState, parseState, type State, type View, views } from './state.js';
import { createTable } from './table.js';

const viewNames: Record<View, string> = {
  table: 'Table',
  pareto: 'Pareto',
  length: 'By length',
  depth: 'By depth',
  compare: 'Compare',
};

const start = (data: SiteData, tools: HTMLElement, place: HTMLElement): void => {
  let state = parseState(location.hash);
  const change = (changes: Partial<State>): void => {
    state = { ...state, ...changes };
    const words = formatState(state);
    history.replaceState(null, '', words === '' ? '#' : `#${words}`);
    show();
  };
  const draw = {
    table: createTable(data, change),
    pareto: createPareto(data, change),
    length: createLengthMap(data, change),
    depth: createDepthMap(data, change),
    compare: createCompare(data, change),
  };
  const filters = createFilters(data, change);
  const buttons = views.map((view) => ({
    view,
    node: button(viewNames[view], { id: `view-${view}` }, () => change({ view, page: 1 })),
  }));
  const count = element('p', { class: 'soft', role: 'status', id: 'count' });
  tools.replaceChildren(
    element(
      'nav',
      { class: 'views', 'aria-label': 'views' },
      buttons.map(({ node }) => node),
    ),
    filters.form,
    count,
  );
  const show = (): void => {
    const focused = document.activeElement?.id;
    const drawn = draw[state.view](state);
    filters.show(state);
    for (const { view, node } of buttons) {
      node.setAttribute('aria-pressed', String(view === state.view));
      if (view === 'compare')
        node.textContent = state.chosen.length === 0 ? 'Compare' : `Compare (${state.chosen.length})`;
    }
    count.textContent = drawn.count;
    place.replaceChildren(...drawn.nodes);
    // What was pressed is made anew; the keyboard stays where it was.
    if (focused !== undefined && focused !== '') document.getElementById(focused)?.focus();
  };
  addEventListener('hashchange', () => {
    state = parseState(location.hash);
    show();
  });
  show();
};

const [json, tools, place, table] = ['data', 'tools', 'views', 'static'].map((id) => document.getElementById(id));
if (json && tools && place && table) {
  start(JSON.parse(json.textContent ?? '') as SiteData, tools, place);
  table.hidden = true;
}
