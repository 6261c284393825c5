import { WinnowError } from '../../core/errors.js';
import type {
  Boundary,
  CacheView,
  Hooks,
  LayerShape,
  Ops,
  RowFacts,
  SequenceFacts,
  SlotsView,
  StateView,
} from '../../methods/contract.js';
import type { CacheId } from '../../native/addon-types.js';
import { type Device, type DeviceSlots, type DeviceTensor, device as deviceOf, largest } from './device.js';
import { type Bill, createOps } from './ops.js';
import { createPlanMemory, type PlanMemory } from './plan-memory.js';
import { headOffset } from './prefill.js';
import { forkBooks, type Row } from './rows.js';
import type { ResolvedSetting } from './settings.js';
import { createState, type GroupState } from './state.js';
import { streamTier } from './tier.js';

/** Rows of one method with the same parameters; they differ in budget. Hooks see them together, state is stacked over them. */
export interface Group {
  readonly rows: readonly Row[];
  readonly state: GroupState;
  readonly caches: Int32Array;
  hooks(): Hooks;
  /** Bytes that ops read for this group since the last call, by row. */
  takeBill(): Float64Array;
  readonly bill: Bill;
  /** The primitives, billed to this group. Made once for each kind of moment: a hook runs for every layer of every step. */
  ops(context: GroupContext, allowHostLists: boolean): Ops;
  /** What hooks see of the rows; it never changes. */
  readonly facts: RowFacts;
  /** Tokens that each row fed beside its own sequence, as if alone. */
  readonly auxiliaryTokens: number;
  addAuxiliaryTokens(tokens: number): void;
  /** What its attention plans read last. */
  readonly plans: PlanMemory;
  /** The most slots any head will ever hold. */
  readonly slotCapacity: number;
  /** Twin rows with other prompts, by row; owned by the sample. */
  readonly companions: Map<Row, readonly Companion[]>;
}

export interface Companion {
  readonly cache: CacheId;
  nextPosition: number;
  /** Last token of its prompt, fed when the row reads its question. */
  readonly lastToken: number;
}

export interface GroupContext {
  readonly device: Device;
  readonly shapes: readonly LayerShape[];
  readonly elementBytes: number;
  /** `hooks` made anew before each call (conformance: amnesia). */
  readonly freshHooks: boolean;
  /** Rotary table of a layer for a text of this length, f32 [at least `positions`, ropeDims]. */
  rotary(layer: number, positions: number, textLength: number): DeviceTensor;
}

/** slotCapacity: the most slots any head will ever hold. */
export const createGroup = (context: GroupContext, rows: readonly Row[], slotCapacity: number): Group => {
  const first = rows[0]!.resolved;
  const state = createState(context.device, first.declaration, context.shapes, rows.length, slotCapacity);
  const hooks = first.hooks();
  let billed = new Float64Array(rows.length);
  const made = new Map<boolean, { readonly shapes: GroupContext['shapes']; readonly ops: Ops }>();
  let auxiliaryTokens = 0;
  const bill: Bill = (bytesByRow, read) => {
    if (read !== undefined)
      for (const row of rows)
        streamTier(context, row, read.layer, headOffset(context.shapes, read.layer), read.what, read.share ?? 1);
    for (let row = 0; row < billed.length; row++) billed[row]! += bytesByRow[bytesByRow.length === 1 ? 0 : row]!;
  };
  return {
    rows,
    state,
    slotCapacity,
    companions: new Map(),
    plans: createPlanMemory(context.device, first.declaration.reusesPlans === true),
    caches: Int32Array.from(rows, (row) => row.cache),
    hooks: () => (context.freshHooks ? first.hooks() : hooks),
    takeBill() {
      const bytes = billed;
      billed = new Float64Array(rows.length);
      return bytes;
    },
    bill,
    ops({ device, shapes, elementBytes }, allowHostLists) {
      const known = made.get(allowHostLists);
      if (known?.shapes === shapes) return known.ops;
      const ops = createOps({ device, shapes, elementBytes, bill, allowHostLists });
      made.set(allowHostLists, { shapes, ops });
      return ops;
    },
    facts: {
      count: rows.length,
      budgets: rows.map((row) => row.resolved.setting.budget),
      sequences: rows.map((row) => visibleFacts(row.resolved, row.sequence)),
    },
    get auxiliaryTokens() {
      return auxiliaryTokens;
    },
    addAuxiliaryTokens(tokens) {
      auxiliaryTokens += tokens;
    },
  };
};

interface ForkOptions {
  readonly members?: readonly number[];
  readonly evidence?: Row['evidence'];
  /** Copies of the members' caches that the fork takes over. */
  readonly caches?: readonly CacheId[];
}

/**
 * A copy of a group, or of some of its rows, that shares pages until one side writes; without the twins. `evidence` replaces that of
 * its rows. The caller frees it with `freeGroup`.
 */
export const forkGroup = (
  context: GroupContext,
  group: Group,
  { members = [...group.rows.keys()], evidence, caches }: ForkOptions = {},
): Group => {
  const rows = members.map((r, i): Row => {
    const row = group.rows[r]!;
    const books = forkBooks(row, caches?.[i] ?? context.device.addon.cacheFork(row.cache));
    return evidence === undefined ? books : { ...books, evidence };
  });
  const copy = createGroup(context, rows, group.slotCapacity);
  members.forEach((from, r) => {
    copy.state.copyRow(r, group.state, from);
  });
  return copy;
};

/** Caches, twin rows and state of a group. */
export const freeGroup = ({ device }: GroupContext, group: Group): void => {
  group.state.dispose();
  group.plans.dispose();
  for (const row of group.rows) device.addon.cacheFree(row.cache);
  for (const companions of group.companions.values()) for (const { cache } of companions) device.addon.cacheFree(cache);
  group.companions.clear();
};

/** State of one layer as hooks see it; page fields say how many bytes of their room are in use. */
export const groupState = (context: GroupContext, group: Group, layer: number): StateView => {
  const { state } = group.rows[0]!.resolved.declaration;
  const heads = context.shapes[layer]!.numKvHeads;
  const offset = headOffset(context.shapes, layer);
  const view = group.state.view(layer, () =>
    Int32Array.from(group.rows.flatMap((row) => [...row.slots.subarray(offset, offset + heads)])),
  );
  return {
    write: view.write,
    append: view.append,
    read(name) {
      const tensor = deviceOf(view.read(name));
      const field = state[name];
      if (field?.per !== 'page') return tensor;
      const usedBytes = group.rows.map((row) =>
        row.slots
          .subarray(offset, offset + heads)
          .reduce((sum, length) => sum + Math.ceil(length / field.pageSize) * field.width * 4, 0),
      );
      return { ...tensor, usedBytes };
    },
  };
};

/** Evidence and tokens exist only for those who declared them. */
export const visibleFacts = (resolved: ResolvedSetting, sequence: SequenceFacts): SequenceFacts => {
  const { tokenIds, evidence, ...open } = sequence;
  const views = new Set(resolved.declaration.needs.map((need) => ('view' in need ? need.view : '')));
  return {
    ...open,
    ...(views.has('tokens') && tokenIds !== undefined ? { tokenIds } : {}),
    ...(views.has('evidence') && evidence !== undefined ? { evidence } : {}),
  };
};

/** Slots of a group in one layer, from the engine's books. `shared`: all rows still equal, one physical cache stands for them. */
export const slotsView = (context: GroupContext, group: Group, layer: number, shared: boolean): SlotsView => {
  const heads = context.shapes[layer]!.numKvHeads;
  const offset = headOffset(context.shapes, layer);
  const rows = shared ? group.rows.slice(0, 1) : group.rows;
  const lens = new Int32Array(rows.length * heads);
  rows.forEach((row, r) => {
    lens.set(row.slots.subarray(offset, offset + heads), r * heads);
  });
  const slots: DeviceSlots = {
    layer,
    rows: rows.length,
    numKvHeads: heads,
    maxLen: largest(lens),
    lens,
    caches: Int32Array.from(rows, (row) => row.cache),
  };
  return slots;
};

export interface BoundaryViews {
  readonly boundary: Boundary;
  /** All rows still hold the same slots. */
  readonly shared: boolean;
  /** Per layer act [rows or 1, last, Hq * d]. */
  windowQueries?(layer: number): DeviceTensor;
  /** f32 [rows or 1, heads of the need's scope, maxLen]; undefined for a need of another kind. */
  columnStats?(layer: number, need: number): DeviceTensor | undefined;
  /** Per layer f32 [rows, heads of the declared scope, maxLen]. */
  probs?(layer: number): DeviceTensor;
}

export const cacheViews = (context: GroupContext, group: Group, views: BoundaryViews): CacheView[] => {
  const ops = group.ops(context, views.boundary !== 'step');
  const rows = group.facts;
  const missing = (name: string) => (): never => {
    throw new WinnowError(
      'ERR_CONTRACT',
      `${group.rows[0]!.resolved.bound.method.id}.${name}`,
      `a view that is declared in needs and exists at boundary ${views.boundary}`,
      name,
    );
  };
  return context.shapes.map((shape, layer) => ({
    layer,
    shape,
    rows,
    ops,
    state: groupState(context, group, layer),
    boundary: views.boundary,
    slots: slotsView(context, group, layer, views.shared),
    windowQueries: views.windowQueries === undefined ? missing('windowQueries') : () => views.windowQueries!(layer),
    columnStats: (need) => views.columnStats?.(layer, need) ?? missing('columnStats')(),
    probs: views.probs === undefined ? missing('probs') : () => views.probs!(layer),
  }));
};
