/** What a part of a composition sees: its own state names, its own budget. */
import type { Budget, CacheView, ChunkView, RowFacts, StateView, StepView, View } from './contract.js';

export interface PartLens {
  readonly id: string;
  /** Where the part's needs begin in the composition's list. */
  readonly firstNeed: number;
  budget(whole: Budget): Budget;
}

export const stateName = (id: string, name: string): string => `${id}.${name}`;

export const cacheViewOf = (part: PartLens, view: CacheView): CacheView => ({
  ...common(part, view),
  boundary: view.boundary,
  slots: view.slots,
  windowQueries: () => view.windowQueries(),
  columnStats: (need) => view.columnStats(part.firstNeed + need),
  probs: () => view.probs(),
});

export const stepViewOf = (part: PartLens, view: StepView): StepView => ({
  ...common(part, view),
  step: view.step,
  phase: view.phase,
  queryLen: view.queryLen,
  slots: view.slots,
  queries: (rope) => view.queries(rope),
  hidden: () => view.hidden(),
  tokenIds: () => view.tokenIds(),
  probs: () => view.probs(),
  lse: () => view.lse(),
});

export const chunkViewOf = (part: PartLens, view: ChunkView): ChunkView => ({
  ...common(part, view),
  offset: view.offset,
  queryLen: view.queryLen,
  past: view.past,
  queries: (rope) => view.queries(rope),
  keys: (rope) => view.keys(rope),
  values: () => view.values(),
  hidden: () => view.hidden(),
  lse: () => view.lse(),
  attentionOutput: () => view.attentionOutput(),
});

const common = (part: PartLens, view: View): View => ({
  layer: view.layer,
  shape: view.shape,
  rows: rowsOf(part, view.rows),
  state: stateOf(part, view.state),
  ops: view.ops,
});

const rowsOf = (part: PartLens, rows: RowFacts): RowFacts => ({
  ...rows,
  budgets: rows.budgets.map((budget) => part.budget(budget)),
});

const stateOf = (part: PartLens, state: StateView): StateView => ({
  read: (name) => state.read(stateName(part.id, name)),
  write: (name, value) => state.write(stateName(part.id, name), value),
  append: (name, value) => state.append(stateName(part.id, name), value),
});
