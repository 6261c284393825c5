/** Some tokens of a cache read again through all layers, each over what stands before it: the others stay as they are. */
import type { CacheId } from '../../native/addon-types.js';
import { appendPiece, type Piece, pieceOf, sliceSlots } from './cache-segments.js';
import type { ModelContext } from './sample.js';

export interface RecomputeRequest {
  /** Token ids by slot. */
  readonly ids: Int32Array;
  /** All heads of all layers hold the same slots in the same order. */
  readonly from: CacheId;
  /** Empty; receives every slot, recomputed or not. */
  readonly into: CacheId;
  /** Ascending. */
  readonly slots: readonly number[];
}

/** Consecutive slots that are all recomputed or all kept. */
interface Run {
  readonly first: number;
  readonly count: number;
  /** Index of the first one among the recomputed slots; undefined: kept. */
  readonly recomputed: number | undefined;
}

/**
 * A layer's slots are appended in order, and each run of recomputed tokens attends right after its own were written: then the cache
 * holds exactly what those tokens may see, and every run is an ordinary prefill of that layer.
 */
export const recompute = (context: ModelContext, { ids, from, into, slots }: RecomputeRequest): void => {
  const { device, transformer, shapes } = context;
  const { addon } = device;
  const runs = runsOf(slots, ids.length);
  const layerWithSlots = shapes.findIndex(({ numKvHeads }) => numKvHeads > 0);
  const positions = layerWithSlots < 0 ? new Int32Array(ids.length) : addon.cachePositions(from, layerWithSlots, 0);
  const fresh = transformer.newCache();
  try {
    transformer.run({
      ids: Int32Array.from(slots, (slot) => ids[slot]!),
      positions: Int32Array.from(slots, (slot) => positions[slot]!),
      caches: Int32Array.of(fresh),
      queryLen: slots.length,
      isStep: false,
      logits: 'none',
      attend(layer, q, out) {
        device.scope(() => {
          const shape = shapes[layer]!;
          const kept = pieceOf(context, { cache: from, first: 0, count: ids.length }, layer);
          const made = pieceOf(context, { cache: fresh, first: 0, count: slots.length }, layer);
          for (const { first, count, recomputed } of runs) {
            appendPiece(
              context,
              layer,
              into,
              cut(context, recomputed === undefined ? kept : made, recomputed ?? first, count),
            );
            if (recomputed === undefined) continue;
            addon.attendPrefill(
              device.slice(q, recomputed, count).id,
              into,
              layer,
              shape.softmaxScale,
              shape.softCap ?? 0,
              shape.slidingWindow ?? 0,
              0,
              device.slice(out, recomputed, count).id,
              0,
            );
          }
        });
      },
    });
  } finally {
    addon.cacheFree(fresh);
  }
};

const cut = (context: ModelContext, { keys, values, positions }: Piece, first: number, count: number): Piece => ({
  keys: sliceSlots(context, keys, first, count),
  values: sliceSlots(context, values, first, count),
  positions: positions.slice(first, first + count),
});

const runsOf = (slots: readonly number[], length: number): Run[] => {
  const runs: Run[] = [];
  let at = 0;
  for (let i = 0; i < slots.length; ) {
    const first = slots[i]!;
    if (first > at) runs.push({ first: at, count: first - at, recomputed: undefined });
    let end = i + 1;
    while (end < slots.length && slots[end] === slots[end - 1]! + 1) end++;
    runs.push({ first, count: end - i, recomputed: i });
    at = first + end - i;
    i = end;
  }
  if (at < length) runs.push({ first: at, count: length - at, recomputed: undefined });
  return runs;
};
