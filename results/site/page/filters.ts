/** The form above every view. */
import { boardName } from '../board-names.js';
import { axisWords, type SiteData } from '../site-data.js';
import { element } from './dom.js';
import type { State } from './state.js';

type Change = (changes: Partial<State>) => void;

/** Builds the form once; `show` puts a state into it. */
export const createFilters = (data: SiteData, change: Change): { form: HTMLElement; show(state: State): void } => {
  const distinct = (values: readonly string[]): string[] => [...new Set(values)].sort();
  const budgets = distinct(data.settings.map(({ budget }) => budget).filter((budget) => budget !== ''));
  const lengths = [...new Set(data.cells.length)].sort((a, b) => a - b).map(String);
  const plain = (values: readonly string[]) => values.map((value) => [value, value] as const);
  const choices = {
    board: data.boards.map((board, i) => [String(i), boardName(board)] as const),
    protocol: plain(distinct(data.settings.map(({ protocol }) => protocol))),
    axis: distinct(data.settings.map(({ axis }) => axis)).map((axis) => [axis, axisWords[axis] ?? axis] as const),
    family: plain(distinct(data.settings.map(({ family }) => family))),
    method: plain(distinct(data.settings.map(({ method }) => method))),
    budget: plain(budgets.sort((a, b) => Number.parseFloat(b) - Number.parseFloat(a))),
    task: plain(data.tasks),
    length: plain(lengths),
    badge: plain(distinct(data.settings.map(({ badge }) => badge))),
  };
  const labels: Record<keyof typeof choices, string> = {
    board: 'suite and model',
    protocol: 'protocol',
    axis: 'budget acts on',
    family: 'family',
    method: 'method',
    budget: 'budget',
    task: 'task (cells)',
    length: 'length (cells)',
    badge: 'badge',
  };
  const search = element('input', { type: 'search', id: 'search', autocomplete: 'off', spellcheck: 'false' });
  search.addEventListener('input', () => change({ q: search.value, page: 1 }));
  const selects = (Object.keys(choices) as (keyof typeof choices)[]).map((key) => {
    const select = element('select', { id: `filter-${key}` }, [
      element('option', { value: '' }, ['all']),
      ...choices[key].map(([value, label]) => element('option', { value }, [label])),
    ]);
    select.addEventListener('change', () => {
      // Only cells have a task and a length.
      const isCell = (key === 'task' || key === 'length') && select.value !== '';
      change({ [key]: select.value, page: 1, ...(isCell ? { rows: 'cells' as const } : {}) });
    });
    return { key, select };
  });
  const boxes = ['controls', 'simulated', 'stand-in'].map((word) => {
    const box = element('input', { type: 'checkbox', id: `hide-${word}` });
    box.addEventListener('change', () =>
      change({ hide: boxes.filter(({ box: one }) => one.checked).map(({ word: one }) => one), page: 1 }),
    );
    return { word, box };
  });
  const form = element('form', { class: 'filters', 'aria-label': 'filters' }, [
    element('label', {}, ['search', search]),
    ...selects
      .filter(({ key }) => choices[key].length > 1)
      .map(({ key, select }) => element('label', {}, [labels[key], select])),
    ...boxes.map(({ word, box }) => element('label', { class: 'check' }, [box, `hide ${word}`])),
  ]);
  form.addEventListener('submit', (event) => event.preventDefault());
  return {
    form,
    show(state) {
      if (search.value !== state.q) search.value = state.q;
      for (const { key, select } of selects) select.value = state[key];
      for (const { word, box } of boxes) box.checked = state.hide.includes(word);
    },
  };
};
