/** Score by length, and by depth and length, as tables whose fields are coloured. */
import { formatLength } from '../../../core/units.js';
import { shareText } from '../cell-text.js';
import { type Setting, type SiteData, settingName } from '../site-data.js';
import { button, element, isolated, scrolling } from './dom.js';
import { shownSettings } from './rows.js';
import type { State } from './state.js';
import type { Change } from './table.js';

const LENGTH_ROWS = 60;
const DEPTH_MAPS = 12;

const heatField = (score: number | undefined, title: string): HTMLElement =>
  score === undefined
    ? element('td', { class: 'heat' }, ['–'])
    : element('td', { class: `heat h${Math.round(10 * Math.min(1, Math.max(0, score)))}`, title }, [shareText(score)]);

const settingHead = (setting: Setting): HTMLElement =>
  element('th', { scope: 'row' }, [
    element('a', { href: setting.page }, [isolated(settingName(setting))]),
    ` ${setting.protocol}`,
  ]);

const more = (shown: number, all: number, state: State, change: Change): HTMLElement[] =>
  shown >= all ? [] : [button(`${all - shown} more`, { id: 'more' }, () => change({ page: state.page + 1 }))];

/** Mean over the tasks that pass the filter. */
export const createLengthMap =
  (data: SiteData, change: Change) =>
  (state: State): { nodes: Node[]; count: string } => {
    const settings = shownSettings(data, state);
    const { cells, tasks } = data;
    const means = new Map<string, { sum: number; count: number }>();
    const lengths = new Set<number>();
    for (let i = 0; i < cells.setting.length; i++) {
      const score = cells.score[i];
      if (score === null || score === undefined || (state.task !== '' && tasks[cells.task[i]!] !== state.task))
        continue;
      const length = cells.length[i]!;
      if (state.length !== '' && String(length) !== state.length) continue;
      lengths.add(length);
      const key = `${cells.setting[i]} ${length}`;
      const mean = means.get(key) ?? { sum: 0, count: 0 };
      means.set(key, { sum: mean.sum + score, count: mean.count + 1 });
    }
    const columns = [...lengths].sort((a, b) => a - b);
    const place = new Map(data.settings.map((setting, i) => [setting, i]));
    const shown = settings.slice(0, LENGTH_ROWS * state.page);
    const rows = shown.map((setting) =>
      element('tr', {}, [
        settingHead(setting),
        ...columns.map((length) => {
          const mean = means.get(`${place.get(setting)} ${length}`);
          return heatField(mean && mean.sum / mean.count, mean === undefined ? '' : `mean over ${mean.count} tasks`);
        }),
      ]),
    );
    const table = element('table', { id: 'length-map' }, [
      element('caption', {}, [`Mean score over ${state.task === '' ? 'all tasks' : state.task} by length in tokens.`]),
      element('thead', {}, [
        element('tr', {}, [
          element('th', { class: 'text', scope: 'col' }, ['setting']),
          ...columns.map((length) => element('th', { scope: 'col' }, [formatLength(length)])),
        ]),
      ]),
      element('tbody', {}, rows),
    ]);
    return {
      count: `${settings.length} settings`,
      nodes: [scrolling('score by length', table), ...more(shown.length, settings.length, state, change)],
    };
  };

export const createDepthMap =
  (data: SiteData, change: Change) =>
  (state: State): { nodes: Node[]; count: string } => {
    const settings = shownSettings(data, state).filter(({ depths }) => depths.length > 0);
    const count = `${settings.length} settings with a sweep of depths`;
    if (settings.length === 0)
      return {
        count,
        nodes: [element('p', {}, ['No setting shown has a task that sweeps the depth of its evidence.'])],
      };
    const shown = settings.slice(0, DEPTH_MAPS * state.page);
    return { count, nodes: [...shown.map(depthMap), ...more(shown.length, settings.length, state, change)] };
  };

const depthMap = (setting: Setting): HTMLElement => {
  const lengths = [...new Set(setting.depths.map(([length]) => length))];
  const levels = [...new Set(setting.depths.map(([, depth]) => depth))].sort((a, b) => a - b);
  const name = `${settingName(setting)}, ${setting.protocol}`;
  return element('section', { 'aria-label': name }, [
    element('h2', {}, [
      element('a', { href: setting.page }, [isolated(settingName(setting))]),
      `, ${setting.protocol}`,
    ]),
    scrolling(
      `score by depth and length of ${name}`,
      element('table', { class: 'depth-map' }, [
        element('thead', {}, [
          element('tr', {}, [
            element('th', { class: 'text', scope: 'col' }, ['depth (%)']),
            ...lengths.map((length) => element('th', { scope: 'col' }, [formatLength(length)])),
          ]),
        ]),
        element(
          'tbody',
          {},
          levels.map((level) =>
            element('tr', {}, [
              element('th', { scope: 'row' }, [String(level)]),
              ...lengths.map((length) => {
                const field = setting.depths.find(([l, d]) => l === length && d === level);
                return heatField(field?.[2], field === undefined ? '' : `${field[3]} samples`);
              }),
            ]),
          ),
        ),
      ]),
    ),
  ]);
};
