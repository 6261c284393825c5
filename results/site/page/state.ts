/** What is shown, as the part of the address after #, so that a link shows the same again. */
import { type Quantity, quantities } from '../site-data.js';

export const views = ['table', 'pareto', 'length', 'depth', 'compare'] as const;
export type View = (typeof views)[number];

export interface State {
  readonly view: View;
  readonly rows: 'settings' | 'cells';
  readonly q: string;
  readonly board: string;
  readonly protocol: string;
  readonly axis: string;
  readonly family: string;
  readonly method: string;
  readonly budget: string;
  readonly task: string;
  readonly length: string;
  readonly badge: string;
  /** `controls`, `simulated`, `stand-in`: left out. */
  readonly hide: readonly string[];
  /** A column; with a minus the largest first. `ranking` is the order of the table without a script. */
  readonly sort: string;
  readonly page: number;
  readonly x: Quantity;
  readonly y: Quantity;
  readonly chosen: readonly string[];
}

export const initial: State = {
  view: 'table',
  rows: 'settings',
  q: '',
  board: '',
  protocol: '',
  axis: '',
  family: '',
  method: '',
  budget: '',
  task: '',
  length: '',
  badge: '',
  hide: [],
  sort: 'ranking',
  page: 1,
  x: 'kvCacheBytes',
  y: 'scoreKept',
  chosen: [],
};

export const MOST_CHOSEN = 4;

export const formatState = (state: State): string => {
  const words = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) {
    const text = Array.isArray(value) ? value.join(',') : String(value);
    const usual = initial[key as keyof State];
    if (text !== (Array.isArray(usual) ? usual.join(',') : String(usual))) words.set(key, text);
  }
  return words.toString();
};

/** Whatever an address says: unknown words are ignored. */
export const parseState = (hash: string): State => {
  const words = new URLSearchParams(hash.replace(/^#/, ''));
  const text = (key: keyof State): string => words.get(key) ?? String(initial[key]);
  const list = (key: keyof State): string[] => (words.get(key) ?? '').split(',').filter((word) => word !== '');
  const oneOf = <T extends string>(key: keyof State, known: readonly T[]): T =>
    known.find((word) => word === words.get(key)) ?? (initial[key] as T);
  const axes = quantities.map(({ id }) => id);
  const page = Number(words.get('page') ?? 1);
  return {
    view: oneOf('view', views),
    rows: oneOf('rows', ['settings', 'cells'] as const),
    q: text('q').slice(0, 200),
    board: text('board'),
    protocol: text('protocol'),
    axis: text('axis'),
    family: text('family'),
    method: text('method'),
    budget: text('budget'),
    task: text('task'),
    length: text('length'),
    badge: text('badge'),
    hide: list('hide'),
    sort: text('sort'),
    page: Number.isInteger(page) && page > 0 ? page : 1,
    x: oneOf('x', axes),
    y: oneOf('y', axes),
    chosen: [...new Set(list('chosen'))].slice(0, MOST_CHOSEN),
  };
};
