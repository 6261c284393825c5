import type { LayerShape, SequenceFacts, TokenSpan } from '../../methods/contract.js';
import type { CacheId } from '../../native/addon-types.js';
import type { Device } from './device.js';
import type { ResolvedSetting } from './settings.js';
import { headsRead } from './shared-cache.js';
import { awayBytes, copyTier, type Tier } from './tier.js';

/** One sequence: a sample under one setting. */
export interface Row {
  readonly key: string;
  readonly resolved: ResolvedSetting;
  /** Another one after the branch of a draft was taken over. */
  cache: CacheId;
  /** Position of the next token. */
  nextPosition: number;
  readonly sequence: SequenceFacts;
  readonly evidence: readonly TokenSpan[];
  /** Slots per (layer, KV head), layer-major, kept by the engine's own books: what the plans said, not what the cache answers. */
  readonly slots: Int32Array;
  /** Quantised planes by layer: bytes come from these rules, not from the cache. */
  readonly quantised: Map<string, QuantisedPlane>;
  /** By head (layer-major): slots that hold evidence, as far as asked for; emptied by evictions. */
  readonly evidenceSlots: Map<number, Int32Array>;
  /** Keys of which only some channels are stored, by layer. */
  thinned?: Map<number, ThinnedKeys>;
  /** By head: where slots came from, once positions or order no longer say it; -1 synthetic. Slots behind the end are at their positions. */
  origins?: Map<number, Int32Array>;
  /** Slots at the second tier. */
  tier?: Tier;
  /** By layer: leading slots of every head whose memory was given back (sliding layers); absent where positions do not follow slots. */
  released?: Int32Array;
  /** Bytes that attention over all slots reads in one step; refreshed when an action changed the cache. */
  fullReadBytes: number;
}

/** Slots of each KV head whose keys are thinned, and their bytes. */
export interface ThinnedKeys {
  readonly slots: Int32Array;
  readonly bytes: Float64Array;
}

export interface QuantisedPlane {
  readonly layer: number;
  readonly what: 'keys' | 'values';
  readonly upTo: number;
  readonly bits: number;
  readonly group: number;
  readonly along: 'channel' | 'token';
}

/** The same books for a fork of the row's cache. */
export const forkBooks = (row: Row, cache: CacheId): Row => ({
  ...row,
  cache,
  slots: row.slots.slice(),
  quantised: new Map(row.quantised),
  evidenceSlots: new Map(),
  ...(row.thinned === undefined
    ? {}
    : {
        thinned: new Map(
          [...row.thinned].map(([layer, { slots, bytes }]) => [layer, { slots: slots.slice(), bytes: bytes.slice() }]),
        ),
      }),
  ...(row.origins === undefined ? {} : { origins: new Map(row.origins) }),
  ...(row.tier === undefined ? {} : { tier: copyTier(row.tier) }),
  ...(row.released === undefined ? {} : { released: row.released.slice() }),
});

export const totalHeads = (shapes: readonly LayerShape[]): number => shapes.reduce((sum, s) => sum + s.numKvHeads, 0);

/** Bytes of one slot of one KV head. */
export const slotBytes = (shape: LayerShape, elementBytes: number): number =>
  (shape.headDim + shape.headDimV) * elementBytes;

/** Resident KV bytes by formula: slots x width x element bytes, quantised planes by codes, scales and minima. State not included. */
export const expectedBytes = (row: Row, shapes: readonly LayerShape[], elementBytes: number): number => {
  let total = 0;
  forEachHead(shapes, (layer, head, index) => {
    const shape = shapes[layer]!;
    const length = row.slots[index]! - (row.released?.[layer] ?? 0);
    const thinned = row.thinned?.get(layer);
    if (thinned === undefined)
      total += planeBytes(length, shape.headDim, elementBytes, row.quantised.get(`${layer}:keys`));
    else total += thinned.bytes[head]! + (length - thinned.slots[head]!) * shape.headDim * elementBytes;
    total += planeBytes(length, shape.headDimV, elementBytes, row.quantised.get(`${layer}:values`));
  });
  return total - awayBytes({ shapes, elementBytes }, row);
};

const planeBytes = (length: number, width: number, elementBytes: number, plane: QuantisedPlane | undefined): number => {
  if (plane === undefined) return length * width * elementBytes;
  const packed = plane.upTo;
  const codes = (packed * width * plane.bits) / 8;
  const groups = plane.along === 'channel' ? (packed / plane.group) * width : packed * Math.ceil(width / plane.group);
  return codes + groups * 4 + (length - packed) * width * elementBytes;
};

/** Slots of a cache page; quantisation works on whole pages. */
export const PAGE_SLOTS = 64;

/** Index of a layer's first head in layer-major lists. */
const firstHead = (shapes: readonly LayerShape[], layer: number): number => totalHeads(shapes.slice(0, layer));

export const forEachHead = (
  shapes: readonly LayerShape[],
  body: (layer: number, head: number, index: number) => void,
): void => {
  let index = 0;
  shapes.forEach((shape, layer) => {
    for (let head = 0; head < shape.numKvHeads; head++) body(layer, head, index++);
  });
};

/** Slots of a head that attention over everything reads: a sliding layer never looks behind its window. */
export const slotsInSight = ({ slidingWindow }: LayerShape, length: number): number =>
  slidingWindow === undefined ? length : Math.min(length, slidingWindow);

/** What attention over everything reads and a sliding layer does not; such layers are never evicted from nor packed. */
export const bytesOutOfSight = (row: Row, shapes: readonly LayerShape[], elementBytes: number): number => {
  let total = 0;
  shapes.forEach((shape, layer) => {
    if (shape.slidingWindow === undefined) return;
    const length = row.slots[firstHead(shapes, shape.kvSource)] ?? 0;
    total += (length - slotsInSight(shape, length)) * headsRead(shapes, layer) * slotBytes(shape, elementBytes);
  });
  return total;
};

/** Reads the cache's own account of what attention over everything reads. */
export const refreshReadBytes = (
  device: Device,
  row: Row,
  shapes: readonly LayerShape[],
  elementBytes: number,
): void => {
  row.fullReadBytes = 0;
  shapes.forEach((shape, layer) => {
    // Slots that were given back count here as if they were there: what is out of sight is taken off as one.
    const { kvSource } = shape;
    row.fullReadBytes += (row.released?.[kvSource] ?? 0) * headsRead(shapes, layer) * slotBytes(shape, elementBytes);
    for (const bytes of device.addon.cacheReadBytes(row.cache, kvSource)) row.fullReadBytes += bytes;
  });
};

/** Number of evidence tokens. */
export const evidenceTokens = (evidence: readonly TokenSpan[]): number =>
  evidence.reduce((sum, span) => sum + span.end - span.start, 0);

/** Slots of one head that hold evidence, ascending. Kept until the next eviction: selectors ask for it at every step. */
export const evidenceSlots = (device: Device, row: Row, layer: number, head: number, index: number): Int32Array => {
  let slots = row.evidenceSlots.get(index);
  if (slots === undefined) {
    const origins = row.origins?.get(index);
    const positions = origins ?? device.addon.cachePositions(row.cache, layer, head);
    const found: number[] = [];
    // Only positions of the text ascend; the books of moved slots need not.
    if (origins !== undefined)
      origins.forEach((position, slot) => {
        if (row.evidence.some((span) => position >= span.start && position < span.end)) found.push(slot);
      });
    else
      for (const span of row.evidence) {
        for (
          let slot = firstAtLeast(positions, span.start);
          slot < positions.length && positions[slot]! < span.end;
          slot++
        )
          found.push(slot);
      }
    const held = found.filter((slot) => slot >= (row.released?.[layer] ?? 0));
    slots = Int32Array.from(held).sort();
    row.evidenceSlots.set(index, slots);
  }
  return slots;
};

/** First index whose value is not below `wanted`; positions ascend. */
const firstAtLeast = (positions: Int32Array, wanted: number): number => {
  let [low, high] = [0, positions.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (positions[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
};

/** Whether a layer counts in evidence recall: a sliding layer holds what its window holds, whatever the method. */
export const countsForRecall = (shapes: readonly LayerShape[], layer: number): boolean =>
  shapes[layer]!.evictable || !shapes.some(({ evictable }) => evictable);

/** Evidence recall of a whole cache: mean over layers and KV heads. */
export const cacheRecall = (device: Device, row: Row, shapes: readonly LayerShape[]): number => {
  const wanted = evidenceTokens(row.evidence);
  let sum = 0;
  let heads = 0;
  forEachHead(shapes, (layer, head, index) => {
    if (!countsForRecall(shapes, layer)) return;
    sum += evidenceSlots(device, row, layer, head, index).length / wanted;
    heads++;
  });
  return sum / heads;
};

/** Starts the books of where a head's slots came from. */
export const originsOf = (device: Device, row: Row, layer: number, head: number, index: number): Int32Array => {
  row.origins ??= new Map();
  let origins = row.origins.get(index);
  if (origins === undefined || origins.length < row.slots[index]!) {
    const known = origins;
    origins = device.addon.cachePositions(row.cache, layer, head).map((position, slot) => known?.[slot] ?? position);
    row.origins.set(index, origins);
  }
  return origins;
};

/** Original positions that each layer and KV head holds in memory; -1 for synthetic slots. */
export const keptPositions = (device: Device, row: Row, shapes: readonly LayerShape[]): Int32Array[][] => {
  let index = 0;
  return shapes.map((shape, layer) =>
    Array.from({ length: shape.numKvHeads }, (_, head) => {
      const positions = device.addon.cachePositions(row.cache, layer, head).subarray(row.released?.[layer] ?? 0);
      const origins = row.origins?.get(index++);
      return origins === undefined ? positions : positions.map((position, slot) => origins[slot] ?? position);
    }),
  );
};
