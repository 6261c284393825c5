import { WinnowError } from '../../core/errors.js';
import type { AttentionPlan, ChunkView, LayerShape } from '../../methods/contract.js';
import type { CacheId } from '../../native/addon-types.js';
import { type Device, type DeviceTensor, layerLens } from './device.js';
import { keysOf } from './plan-keys.js';
import type { Transformer } from './transformer.js';

export interface PrefillRequest {
  readonly ids: Int32Array;
  /** Receives the keys and values; may already hold a prefix. */
  readonly cache: CacheId;
  readonly firstPosition: number;
  readonly chunk: number;
  /** Rotated queries of the last rows to keep per layer; 0 keeps none. */
  readonly windowRows: number;
  readonly wantLogits: boolean;
  /** Attention plan of a method that changes the prefill. */
  plan?(
    view: Pick<ChunkView, 'layer' | 'shape' | 'offset' | 'queryLen' | 'past'> & { queries(): DeviceTensor },
  ): AttentionPlan;
  cancelled(): void;
}

export interface PrefillResult {
  /** f32 [1, vocabSize] of the last token; owned by the transformer until its next pass. */
  readonly logits: DeviceTensor | undefined;
  /** Per layer act [min(windowRows, n), Hq * d]; owned by the caller. */
  readonly windowQueries: readonly DeviceTensor[];
  /** Query-key pairs computed, and those of causal attention; summed over layers and query heads. */
  readonly pairs: number;
  readonly causalPairs: number;
  /** Position of the token that follows, where it is not the number of tokens. */
  readonly nextPosition?: number;
}

/** Feeds a prompt in chunks. Exact for any chunk size: a query's result depends on the slots it sees only. */
export const prefill = (
  device: Device,
  transformer: Transformer,
  shapes: readonly LayerShape[],
  request: PrefillRequest,
): PrefillResult => {
  const { addon } = device;
  const { ids, cache, chunk } = request;
  const windows = createWindowStore(device, shapes, Math.min(request.windowRows, ids.length));
  const windowTensors = new Map<string, DeviceTensor>();
  let logits: DeviceTensor | undefined;
  let pairs = 0;
  let causalPairs = 0;

  for (let start = 0; start < ids.length; start += chunk) {
    request.cancelled();
    const count = Math.min(chunk, ids.length - start);
    const isLast = start + count === ids.length;
    logits = transformer.run({
      ids: ids.subarray(start, start + count),
      positions: Int32Array.from({ length: count }, (_, i) => request.firstPosition + start + i),
      caches: Int32Array.of(cache),
      queryLen: count,
      isStep: false,
      textLength: request.firstPosition + ids.length,
      logits: isLast && request.wantLogits ? 'last' : 'none',
      attend(layer, q, out) {
        const shape = shapes[layer]!;
        const offset = request.firstPosition + start;
        const causal = causalCount(offset, count) * shape.numQueryHeads;
        causalPairs += causal;
        let plan = 0;
        if (request.plan === undefined) pairs += causal;
        else {
          const window = windowOf(
            request.plan({
              layer,
              shape,
              offset,
              queryLen: count,
              past: slotsOf(device, cache, layer, shapes),
              queries: () => device.reshape(q, [1, count, q.shape[1]!]),
            }),
          );
          if (window === undefined) pairs += causal;
          else {
            pairs += windowCount(offset, count, window.sinkTokens + window.recentTokens) * shape.numQueryHeads;
            plan = windowTensor(device, windowTensors, shape.numQueryHeads, window.sinkTokens, window.recentTokens).id;
          }
        }
        addon.attendPrefill(
          q.id,
          cache,
          layer,
          shape.softmaxScale,
          shape.softCap ?? 0,
          shape.slidingWindow ?? 0,
          plan,
          out.id,
          0,
        );
        windows.push(layer, q, count);
      },
    });
  }
  for (const t of windowTensors.values()) device.free(t);
  return { logits, windowQueries: windows.take(), pairs, causalPairs };
};

/** Pairs of `count` causal queries that start at slot `offset`. */
const causalCount = (offset: number, count: number): number => count * offset + (count * (count + 1)) / 2;

const windowCount = (offset: number, count: number, width: number): number => {
  let total = 0;
  for (let t = 0; t < count; t++) total += Math.min(offset + t + 1, width);
  return total;
};

const windowOf = (plan: AttentionPlan): { sinkTokens: number; recentTokens: number } | undefined => {
  const keys = keysOf(plan, 'prefill.plan');
  if (keys.kind === 'all') return undefined;
  if (keys.kind === 'window') return keys;
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    'prefill.plan',
    'keys of kind all or window',
    keys.kind,
    'Block lists come with the sparse prefill kernels.',
  );
};

const windowTensor = (
  device: Device,
  known: Map<string, DeviceTensor>,
  heads: number,
  sinks: number,
  recents: number,
): DeviceTensor => {
  const key = `${heads}:${sinks}:${recents}`;
  let t = known.get(key);
  if (t === undefined) {
    t = device.i32(
      Int32Array.from({ length: heads * 2 }, (_, i) => (i % 2 === 0 ? sinks : recents)),
      [heads, 2],
    );
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
