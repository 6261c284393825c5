import type { AttentionPlan, LayerShape, Layout, SlotsView } from '../../methods/contract.js';
import type { CacheId } from '../../native/addon-types.js';
import { attendPlan } from './attend-plan.js';
import { type ColumnNeed, type ColumnStats, createColumnStats } from './column-stats.js';
import { type Device, type DeviceTensor, layerLens } from './device.js';
import { isPlainLayout, plainKeys } from './plan-keys.js';
import type { PlanMemory } from './plan-memory.js';
import { releasable, releaseBehind } from './release.js';
import { type LayerSource, type SoftTokens, softWithin, type Transformer } from './transformer.js';

/** One chunk of one layer, for the hooks of a method that has a prefill of its own. */
export interface PrefillChunk {
  readonly layer: number;
  readonly offset: number;
  readonly queryLen: number;
  readonly past: SlotsView;
  /** act [queryLen, Hq * d], rotated. */
  readonly queries: DeviceTensor;
  readonly source: LayerSource;
  /** After attention, where it was asked for: f32 [queryLen, Hq], act [queryLen, Hq * dV]. */
  readonly lse?: DeviceTensor;
  readonly output?: DeviceTensor;
}

/** What a method that changes or watches the prefill does in it. */
export interface PrefillHooks {
  plan?(chunk: PrefillChunk): AttentionPlan;
  /** After the chunk's attention. */
  onWrite?(chunk: PrefillChunk): void;
  readonly needsLse: boolean;
  readonly layout: Pick<Layout, 'keyRope' | 'positions'>;
  readonly segments?: Int32Array;
  readonly plans: PlanMemory;
  rotary(layer: number, positions: number, textLength: number): DeviceTensor;
}

export interface PrefillRequest {
  readonly ids: Int32Array;
  /** Rows that stand in the place of some tokens' embeddings; `at` in `ids`. */
  readonly soft?: SoftTokens;
  /** Receives the keys and values; may already hold a prefix. */
  readonly cache: CacheId;
  readonly firstPosition: number;
  /** Positions begin this much later than slots. */
  readonly shift?: number;
  readonly chunk: number;
  /** Rotated queries of the last rows to keep per layer; 0 keeps none. */
  readonly windowRows: number;
  readonly columnStats?: readonly ColumnNeed[];
  readonly wantLogits: boolean;
  /** Sliding layers give back what no later query sees; only where positions follow slots. */
  readonly releases?: boolean;
  readonly hooks?: PrefillHooks;
  cancelled(): void;
}

export interface PrefillResult {
  /** f32 [1, vocabSize] of the last token; owned by the transformer until its next pass. */
  readonly logits: DeviceTensor | undefined;
  /** Per layer act [min(windowRows, n), Hq * d]; owned by the caller. */
  readonly windowQueries: readonly DeviceTensor[];
  /** Owned by the caller. */
  readonly columnStats: ColumnStats;
  /** Query-key pairs computed, and those of causal attention; summed over layers and query heads. */
  readonly pairs: number;
  readonly causalPairs: number;
  /** Position of the token that follows, where it is not the number of tokens. */
  readonly nextPosition?: number;
  /** Slots per (layer, KV head), layer-major, where they are not the tokens fed. */
  readonly slots?: Int32Array;
  /** By layer: leading slots that were given back; absent where none may be. */
  readonly released?: Int32Array;
}

/** Feeds a prompt in chunks. Exact for any chunk size: a query's result depends on the slots it sees only. */
export const prefill = (
  device: Device,
  transformer: Transformer,
  shapes: readonly LayerShape[],
  request: PrefillRequest,
): PrefillResult => {
  const { ids, cache, chunk, hooks } = request;
  const { shift = 0 } = request;
  const textLength = request.firstPosition + ids.length;
  const windows = createWindowStore(device, shapes, Math.min(request.windowRows, ids.length));
  const columnStats = createColumnStats(device, shapes, request.columnStats ?? [], textLength);
  const windowTensors = new Map<string, DeviceTensor>();
  let logits: DeviceTensor | undefined;
  let pairs = 0;
  let causalPairs = 0;

  for (let start = 0; start < ids.length; start += chunk) {
    request.cancelled();
    const count = Math.min(chunk, ids.length - start);
    const isLast = start + count === ids.length;
    const offset = request.firstPosition + start;
    logits = transformer.run({
      ids: ids.subarray(start, start + count),
      ...(request.soft === undefined ? {} : { soft: softWithin(request.soft, start, count) }),
      positions: Int32Array.from({ length: count }, (_, i) => offset + i + shift),
      caches: Int32Array.of(cache),
      queryLen: count,
      isStep: false,
      textLength: textLength + shift,
      logits: isLast && request.wantLogits ? 'last' : 'none',
      ...(hooks?.layout.keyRope === 'pre' ? { keepsUnrotated: () => true } : {}),
      attend(layer, q, out, source) {
        const shape = shapes[layer]!;
        const causal = causalCount(offset, count) * shape.numQueryHeads;
        causalPairs += causal;
        const lse = createLse(device, hooks?.needsLse === true || !columnStats.isEmpty, count, shape);
        const at: PrefillChunk = {
          layer,
          offset,
          queryLen: count,
          past: slotsOf(device, cache, layer, shapes),
          queries: q,
          source,
        };
        const plan = hooks?.plan?.(at);
        const keys = plan === undefined ? undefined : plainKeys(plan, hooks!.layout);
        if (keys?.kind === 'window' || keys?.kind === 'all' || (plan === undefined && isPlain(hooks))) {
          const isWindow = keys?.kind === 'window';
          pairs += isWindow ? windowCount(offset, count, keys) * shape.numQueryHeads : causal;
          const window = isWindow ? windowTensor(device, windowTensors, shape.numQueryHeads, keys).id : 0;
          const { kvSource, softmaxScale, softCap = 0, slidingWindow = 0 } = shape;
          const into = [out.id, lse?.id ?? 0] as const;
          device.addon.attendPrefill(q.id, cache, kvSource, softmaxScale, softCap, slidingWindow, window, ...into);
        } else pairs += attendChunk(device, transformer, shape, request, textLength, at, plan, out, lse);
        if (lse !== undefined) columnStats.push(cache, layer, q, lse);
        windows.push(layer, q, count);
        hooks?.onWrite?.({ ...at, output: out, ...(lse === undefined ? {} : { lse }) });
      },
    });
    hooks?.plans.settle(count, count);
    if (request.releases === true) releaseBehind(device, shapes, cache, offset + count + shift);
  }
  for (const t of windowTensors.values()) device.free(t);
  const moved = shift === 0 ? {} : { nextPosition: textLength + shift };
  const mayRelease = request.releases === true && shapes.some(({ slidingWindow }) => slidingWindow !== undefined);
  const kept = mayRelease ? { released: Int32Array.from(shapes, (shape) => releasable(shape, textLength)) } : {};
  return { logits, windowQueries: windows.take(), columnStats, pairs, causalPairs, ...moved, ...kept };
};

const isPlain = (hooks: PrefillHooks | undefined): boolean => hooks === undefined || isPlainLayout(hooks.layout);

const createLse = (device: Device, isWanted: boolean, count: number, shape: LayerShape): DeviceTensor | undefined =>
  isWanted ? device.tensor('f32', [count, shape.numQueryHeads]) : undefined;

/** Any plan that is neither dense nor a window. Returns its pairs. */
const attendChunk = (
  device: Device,
  transformer: Transformer,
  shape: LayerShape,
  request: PrefillRequest,
  textLength: number,
  { layer, queryLen, past, queries }: PrefillChunk,
  plan: AttentionPlan | undefined,
  out: DeviceTensor,
  lse: DeviceTensor | undefined,
): number => {
  const hooks = request.hooks!;
  const at = { rows: 1, lens: past.lens, queryLen };
  const followed = plan ?? { parts: [{ keys: { kind: 'all' } }], mix: 'one-softmax' };
  const { pairs } = attendPlan(
    {
      device,
      shape,
      layer,
      caches: Int32Array.of(request.cache),
      queryLen,
      q: queries,
      out,
      ...(lse === undefined ? {} : { lse }),
      inPrefill: true,
      layout: hooks.layout,
      cacheLayout: transformer.layout,
      table: (least) => hooks.rotary(layer, Math.max(least, textLength + (request.shift ?? 0)), textLength),
      ...(hooks.segments === undefined ? {} : { segments: device.i32(hooks.segments) }),
      resolve: (part) => hooks.plans.resolve(layer, part, at),
    },
    followed,
  );
  hooks.plans.note(layer, followed, at);
  return pairs;
};

/** Pairs of `count` causal queries that start at slot `offset`. */
const causalCount = (offset: number, count: number): number => count * offset + (count * (count + 1)) / 2;

interface WindowSlots {
  readonly sinkTokens: number;
  readonly recentTokens: number;
}

const windowCount = (offset: number, count: number, { sinkTokens, recentTokens }: WindowSlots): number => {
  let total = 0;
  for (let t = 0; t < count; t++) total += Math.min(offset + t + 1, sinkTokens + recentTokens);
  return total;
};

const windowTensor = (
  device: Device,
  known: Map<string, DeviceTensor>,
  heads: number,
  { sinkTokens, recentTokens }: WindowSlots,
): DeviceTensor => {
  const key = `${heads}:${sinkTokens}:${recentTokens}`;
  let t = known.get(key);
  if (t === undefined) {
    const values = Int32Array.from({ length: heads * 2 }, (_, i) => (i % 2 === 0 ? sinkTokens : recentTokens));
    t = device.i32(values, [heads, 2]);
    known.set(key, t);
  }
  return t;
};

const slotsOf = (device: Device, cache: CacheId, layer: number, shapes: readonly LayerShape[]) => {
  const heads = shapes[layer]!.numKvHeads;
  const lens = layerLens(device.addon, [cache], headOffset(shapes, layer), heads);
  return { layer, rows: 1, numKvHeads: heads, maxLen: lens[0] ?? 0, lens, caches: Int32Array.of(cache) };
};

/** Index of a layer's first head in a cache's lens. */
export const headOffset = (shapes: readonly LayerShape[], layer: number): number => {
  let offset = 0;
  for (let l = 0; l < layer; l++) offset += shapes[l]!.numKvHeads;
  return offset;
};

/** Keeps the last rows of each layer's queries over chunk borders. */
const createWindowStore = (device: Device, shapes: readonly LayerShape[], rows: number) => {
  const { addon } = device;
  const stores: DeviceTensor[] =
    rows === 0 ? [] : shapes.map((s) => device.tensor(device.act, [rows, s.numQueryHeads * s.headDim]));
  return {
    push(layer: number, q: DeviceTensor, count: number) {
      const store = stores[layer];
      if (store === undefined) return;
      const fresh = Math.min(count, rows);
      if (fresh < rows) {
        // Shift what stays to the front; row by row is safe, since the source lies behind the target.
        for (let row = 0; row < rows - fresh; row++) addon.copyRows(store.id, row + fresh, store.id, row, 1);
      }
      addon.copyRows(q.id, count - fresh, store.id, rows - fresh, fresh);
    },
    take: () => stores,
  };
};
