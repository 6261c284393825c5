/** Views over plain arrays, so that adapters can be tested without an engine. */
import { WinnowError } from '../core/errors.js';
import { createRandom } from '../core/random.js';
import type {
  AttentionPlan,
  Budget,
  CacheAction,
  CachePlan,
  CacheView,
  Fork,
  LayerShape,
  Method,
  ModelFacts,
  Ops,
  Protocol,
  RowFacts,
  Setting,
  StepView,
  Tensor,
  TokenSpan,
} from './contract.js';
import { listsOf, type NaiveTensor, naiveTensor } from './naive-lists.js';
import { type NaiveSlots, naiveOps, naiveSlots } from './naive-ops.js';

export const layerShape = (said: Partial<LayerShape> = {}): LayerShape => ({
  mixer: 'softmax',
  numQueryHeads: 8,
  numKvHeads: 2,
  headDim: 16,
  headDimV: 16,
  ropeDims: 16,
  softmaxScale: 1 / Math.sqrt(said.headDim ?? 16),
  kvSource: 0,
  fixedStateBytes: 0,
  evictable: true,
  ...said,
});

export const modelFacts = (layers: readonly LayerShape[], said: Partial<ModelFacts> = {}): ModelFacts => ({
  id: 'planted',
  sha256: '0'.repeat(64),
  family: 'llama',
  numLayers: layers.length,
  hiddenSize: 128,
  vocabSize: 256,
  maxPositions: 4096,
  layers,
  elementBytes: 4,
  ...said,
});

export const budgetOf = (tokens: number, contextTokens: number, covers: Budget['covers'] = 'context'): Budget => ({
  tokens,
  fraction: tokens / contextTokens,
  contextTokens,
  covers,
});

export const settingOf = <P extends object>(
  params: P,
  budget: Budget,
  protocol: Protocol = 'query-aware',
): Setting<P> => ({
  params,
  budget,
  protocol,
});

/** One sample's cache and queries in every layer, before anything was evicted; the same for every row. */
export interface PlantedSample {
  readonly shapes: readonly LayerShape[];
  /** [layer][KV head][slot][channel]. */
  readonly keys: readonly (readonly (readonly (readonly number[])[])[])[];
  /** Shaped as keys; absent: a slot's value is its key. */
  readonly values?: PlantedSample['keys'];
  /** [layer][slot][numQueryHeads * headDim]: the rotated query of every token. */
  readonly queries: readonly (readonly (readonly number[])[])[];
  readonly contextLength: number;
  readonly sampleSeed: number;
  readonly evidence?: readonly TokenSpan[];
}

/** Normal-ish keys and queries from a seed; `length` counts context and question. */
export const plantSample = (
  seed: number,
  shapes: readonly LayerShape[],
  length: number,
  contextLength = length,
  evidence?: readonly TokenSpan[],
): PlantedSample => {
  const stream = createRandom('planted', seed);
  const vector = (size: number): number[] =>
    Array.from({ length: size }, () => stream.float() + stream.float() + stream.float() - 1.5);
  return {
    shapes,
    keys: shapes.map((s) =>
      Array.from({ length: s.numKvHeads }, () => Array.from({ length }, () => vector(s.headDim))),
    ),
    queries: shapes.map((s) => Array.from({ length }, () => vector(s.numQueryHeads * s.headDim))),
    contextLength,
    sampleSeed: seed,
    ...(evidence === undefined ? {} : { evidence }),
  };
};

export const rowsOf = (sample: PlantedSample, budgets: readonly Budget[]): RowFacts => ({
  count: budgets.length,
  budgets,
  sequences: budgets.map(() => ({
    sampleSeed: sample.sampleSeed,
    length: sample.queries[0]!.length,
    contextLength: sample.contextLength,
    ...(sample.evidence === undefined ? {} : { evidence: sample.evidence }),
  })),
});

const noState = {
  read: (name: string): Tensor => {
    throw new WinnowError('ERR_CONTRACT', `state.${name}`, 'a declared field', name);
  },
  write: (name: string): void => {
    throw new WinnowError('ERR_CONTRACT', `state.${name}`, 'a declared field', name);
  },
  append: (name: string): void => {
    throw new WinnowError('ERR_CONTRACT', `state.${name}`, 'a declared field', name);
  },
};

/** The view of one layer at the end of the prefill. */
export const boundaryView = (
  sample: PlantedSample,
  layer: number,
  rows: RowFacts,
  windowLast: number,
  ops: Ops = naiveOps,
): CacheView => {
  const shape = sample.shapes[layer]!;
  const slots = naiveSlots(
    layer,
    shape,
    rows.budgets.map(() => sample.keys[layer]!),
    rows.budgets.map(() => (sample.values ?? sample.keys)[layer]!),
  );
  const queries = sample.queries[layer]!.slice(-windowLast);
  return {
    layer,
    shape,
    rows,
    state: noState,
    ops,
    boundary: sample.contextLength === sample.queries[layer]!.length ? 'context' : 'prompt',
    slots,
    // All rows are alike before eviction, so one row of queries stands for them.
    windowQueries: () => naiveTensor([1, queries.length, queries[0]?.length ?? 0], queries.flat()),
    columnStats: () => {
      throw new WinnowError('ERR_CONTRACT', 'columnStats', 'a declared need', 'none');
    },
    probs: () => {
      throw new WinnowError('ERR_CONTRACT', 'probs', 'a step', 'a prefill boundary');
    },
  };
};

const noFork: Fork = {
  forward: () => Promise.reject(new WinnowError('ERR_UNSUPPORTED', 'fork', 'an engine', 'plain arrays')),
};

const windowOf = (method: Method, setting: Setting, model: ModelFacts): number => {
  const need = method.declare(setting, model).needs.find((known) => 'view' in known && known.view === 'windowQueries');
  return need !== undefined && 'last' in need && need.last !== 'question' ? need.last : 0;
};

/** Kept slots [row][layer][head] after a method's `finishPrefill`, computed with the naive ops; layers without action keep all. */
export const keptByMethod = async (
  method: Method,
  params: object,
  sample: PlantedSample,
  budgets: readonly Budget[],
  ops: Ops = naiveOps,
): Promise<number[][][][]> => {
  const model = modelFacts(sample.shapes);
  const setting = settingOf(params, budgets[0]!);
  const rows = rowsOf(sample, budgets);
  const last = windowOf(method, setting, model);
  const views = sample.shapes.map((_, layer) => boundaryView(sample, layer, rows, last, ops));
  const plan = (await method.hooks(setting, model).cache?.finishPrefill?.(views, noFork)) ?? [];
  return budgets.map((_, row) =>
    sample.shapes.map((shape, layer) => keptInLayer(plan, layer, shape, row, sample.queries[layer]!.length)),
  );
};

const keptInLayer = (plan: CachePlan, layer: number, shape: LayerShape, row: number, length: number): number[][] => {
  const action = plan.find((entry) => entry.layer === layer)?.actions.find(isKeep);
  const all = Array.from({ length }, (_, slot) => slot);
  if (action === undefined) return Array.from({ length: shape.numKvHeads }, () => all);
  const lists = listsOf(action.slots, length)[row]!;
  // Synthetic slots come behind those of the sample.
  return Array.from({ length: shape.numKvHeads }, (_, head) =>
    lists[lists.length === 1 ? 0 : head]!.filter((slot) => slot < length),
  );
};

const isKeep = (action: CacheAction): action is Extract<CacheAction, { kind: 'keep' }> => action.kind === 'keep';

/** Slots read [row][layer][head] by a step of the sample's last token under a method that selects; the step's own slot included. */
export const readByMethod = (
  method: Method,
  params: object,
  sample: PlantedSample,
  budgets: readonly Budget[],
  ops: Ops = naiveOps,
): number[][][][] => {
  const model = modelFacts(sample.shapes);
  const setting = settingOf(params, budgets[0]!);
  const rows = rowsOf(sample, budgets);
  const { state } = method.declare(setting, model);
  const perLayer = sample.shapes.map((shape, layer) => {
    const keys = budgets.map(() => sample.keys[layer]!);
    const pages = Object.entries(state).flatMap(([name, field]) =>
      field.per === 'page'
        ? [[name, ops.blockSummary(naiveSlots(layer, shape, keys), field.pageSize) as NaiveTensor] as const]
        : [],
    );
    const queries = budgets.map(() => sample.queries[layer]!.slice(-1));
    const view = stepView({ layer, shape, keys, queries, rows, state: Object.fromEntries(pages), ops });
    return slotsOfPlan(
      method.hooks(setting, model).decode!.select!(view),
      shape,
      sample.queries[layer]!.length,
      budgets.length,
    );
  });
  return budgets.map((_, row) => perLayer.map((layer) => layer[row]!));
};

const slotsOfPlan = (plan: AttentionPlan, shape: LayerShape, length: number, rows: number): number[][][] => {
  const { keys } = plan.parts[0]!;
  const all = Array.from({ length }, (_, slot) => slot);
  const everything = Array.from({ length: rows }, () => Array.from({ length: shape.numKvHeads }, () => all));
  if (keys.kind === 'all') return everything;
  if (keys.kind !== 'tokens' && keys.kind !== 'blocks')
    throw new WinnowError('ERR_CONTRACT', 'plan', 'all, tokens or blocks', keys.kind);
  const page = keys.kind === 'blocks' ? keys.keyBlock : 1;
  const lists = listsOf(keys.kind === 'blocks' ? keys.lists : keys.indices, Math.ceil(length / page));
  return everything.map((heads, row) =>
    heads.map((_, head) => {
      const list = new Set(lists[row]![lists[row]!.length === 1 ? 0 : head]);
      return all.filter((slot) => slot === length - 1 || list.has(Math.floor(slot / page)));
    }),
  );
};

/** The view of one decode step of one layer: caches [row] of slots, queries [row][token]. */
export interface PlantedStep {
  readonly layer: number;
  readonly shape: LayerShape;
  /** [row][KV head][slot][channel], the step's own slots included. */
  readonly keys: NaiveSlots['keys'];
  /** [row][token][numQueryHeads * headDim]. */
  readonly queries: readonly (readonly (readonly number[])[])[];
  readonly rows: RowFacts;
  readonly state?: Readonly<Record<string, NaiveTensor>>;
  readonly ops?: Ops;
}

export const stepView = ({ layer, shape, keys, queries, rows, state = {}, ops = naiveOps }: PlantedStep): StepView => {
  const absent = (): never => {
    throw new WinnowError('ERR_CONTRACT', 'stepView', 'a declared need', 'none');
  };
  return {
    layer,
    shape,
    rows,
    ops,
    state: { read: (name) => state[name] ?? noState.read(name), write: noState.write, append: noState.append },
    step: 0,
    phase: 'answer',
    queryLen: queries[0]!.length,
    slots: naiveSlots(layer, shape, keys),
    queries: () => naiveTensor([queries.length, queries[0]!.length, queries[0]![0]!.length], queries.flat(2)),
    hidden: absent,
    tokenIds: absent,
    probs: absent,
    lse: absent,
  };
};
