/** Pieces of caches set into other caches: keys turned to the positions where they come to stand. Exact where nothing is turned. */
import type { CacheId } from '../../native/addon-types.js';
import type { DeviceTensor } from './device.js';
import type { ModelContext } from './sample.js';

/** Slots [first, first + count) of every head of a cache whose heads are all alike. */
export interface Segment {
  readonly cache: CacheId;
  readonly first: number;
  readonly count: number;
}

/** Appends a segment to every layer of `into`, its tokens `delta` positions later than they were read. */
export const appendSegment = (context: ModelContext, segment: Segment, into: CacheId, delta: number): void => {
  const { device, shapes } = context;
  if (segment.count === 0) return;
  const textLength = lastPosition(context, segment) + 1 + Math.max(0, delta);
  shapes.forEach(({ numKvHeads }, layer) => {
    if (numKvHeads === 0) return;
    device.scope(() => {
      appendPiece(context, layer, into, pieceOf(context, segment, layer));
      if (delta === 0) return;
      const length = slotsOf(context, into, layer);
      const own = Array.from({ length: segment.count }, (_, i) => length - segment.count + i);
      const perHead = (values: readonly number[]): DeviceTensor =>
        device.i32(Int32Array.from(Array.from({ length: numKvHeads }, () => values).flat()), [
          numKvHeads,
          values.length,
        ]);
      device.addon.cacheRotate(
        into,
        layer,
        perHead(own).id,
        device.i32(new Int32Array(numKvHeads).fill(segment.count), [numKvHeads]).id,
        perHead(own.map(() => delta)).id,
        context.rotary(layer, Math.abs(delta) + 1, textLength).id,
      );
    });
  });
};

/** Keys and values f32 [H, count, width] of consecutive slots of one layer, and their positions. */
export interface Piece {
  readonly keys: DeviceTensor;
  readonly values: DeviceTensor;
  readonly positions: Int32Array;
}

export const pieceOf = (context: ModelContext, { cache, first, count }: Segment, layer: number): Piece => {
  const { addon } = context.device;
  return {
    keys: sliceSlots(context, context.device.wrap(addon.cacheRead(cache, layer, 0), 'f32'), first, count),
    values: sliceSlots(context, context.device.wrap(addon.cacheRead(cache, layer, 1), 'f32'), first, count),
    positions: addon.cachePositions(cache, layer, 0).slice(first, first + count),
  };
};

/** Appends one layer's piece: one token a slot, no bias. */
export const appendPiece = (
  { device, shapes }: ModelContext,
  layer: number,
  into: CacheId,
  { keys, values, positions }: Piece,
): void => {
  const { numKvHeads } = shapes[layer]!;
  const count = positions.length;
  const all = new Int32Array(numKvHeads * count);
  for (let head = 0; head < numKvHeads; head++) all.set(positions, head * count);
  device.addon.cacheAppend(
    into,
    layer,
    keys.id,
    values.id,
    device.i32(all, [numKvHeads, count]).id,
    device.i32(new Int32Array(all.length).fill(1), [numKvHeads, count]).id,
    device.tensor('f32', [numKvHeads, count]).id,
  );
};

/** [H, n, width] -> [H, count, width]. */
export const sliceSlots = ({ device }: ModelContext, t: DeviceTensor, first: number, count: number): DeviceTensor => {
  const [heads = 0, length = 0, width = 0] = t.shape;
  if (first === 0 && count === length) return t;
  const from = device.reshape(t, [heads * length, width]);
  const out = device.tensor('f32', [heads * count, width]);
  for (let head = 0; head < heads; head++)
    device.addon.copyRows(from.id, head * length + first, out.id, head * count, count);
  return device.reshape(out, [heads, count, width]);
};

const slotsOf = (context: ModelContext, cache: CacheId, layer: number): number =>
  context.device.addon.cachePositions(cache, layer, 0).length;

const lastPosition = (context: ModelContext, { cache, first, count }: Segment): number => {
  const layer = context.shapes.findIndex(({ numKvHeads }) => numKvHeads > 0);
  if (layer < 0) return 0;
  const positions = context.device.addon.cachePositions(cache, layer, 0).subarray(first, first + count);
  return positions.reduce((a, b) => Math.max(a, b), 0);
};
