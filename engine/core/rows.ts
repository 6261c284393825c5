import type { LayerShape, SequenceFacts, TokenSpan } from '../../methods/contract.js';
import type { CacheId } from '../../native/addon-types.js';
import type { Device } from './device.js';
import type { ResolvedSetting } from './settings.js';

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
  /** Bytes that attention over all slots reads in one step; refreshed when an action changed the cache. */
  fullReadBytes: number;
}

export interface QuantisedPlane {
  readonly layer: number;
  readonly what: 'keys' | 'values';
  readonly upTo: number;
  readonly bits: number;
  readonly group: number;
  readonly along: 'channel' | 'token';
}

export const totalHeads = (shapes: readonly LayerShape[]): number => shapes.reduce((sum, s) => sum + s.numKvHeads, 0);

/** Bytes of one slot of one KV head. */
export const slotBytes = (shape: LayerShape, elementBytes: number): number =>
  (shape.headDim + shape.headDimV) * elementBytes;

/** Resident KV bytes by formula: slots x width x element bytes, quantised planes by codes, scales and minima. State not included. */
export const expectedBytes = (row: Row, shapes: readonly LayerShape[], elementBytes: number): number => {
  let total = 0;
  forEachHead(shapes, (layer, _head, index) => {
    const shape = shapes[layer]!;
    const length = row.slots[index]!;
    total += planeBytes(length, shape.headDim, elementBytes, row.quantised.get(`${layer}:keys`));
    total += planeBytes(length, shape.headDimV, elementBytes, row.quantised.get(`${layer}:values`));
  });
  return total;
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

export const forEachHead = (
  shapes: readonly LayerShape[],
  body: (layer: number, head: number, index: number) => void,
): void => {
  let index = 0;
  shapes.forEach((shape, layer) => {
    for (let head = 0; head < shape.numKvHeads; head++) body(layer, head, index++);
  });
};

/** Reads the cache's own account of what attention over everything reads. */
export const refreshReadBytes = (device: Device, row: Row, shapes: readonly LayerShape[]): void => {
  row.fullReadBytes = 0;
  shapes.forEach((_, layer) => {
    for (const bytes of device.addon.cacheReadBytes(row.cache, layer)) row.fullReadBytes += bytes;
  });
};

/** Number of evidence tokens. */
export const evidenceTokens = (evidence: readonly TokenSpan[]): number =>
  evidence.reduce((sum, span) => sum + span.end - span.start, 0);

/** Slots of one head that hold evidence, ascending. Kept until the next eviction: selectors ask for it at every step. */
export const evidenceSlots = (device: Device, row: Row, layer: number, head: number, index: number): Int32Array => {
  let slots = row.evidenceSlots.get(index);
  if (slots === undefined) {
    const positions = device.addon.cachePositions(row.cache, layer, head);
    const found: number[] = [];
    for (const span of row.evidence) {
      for (
        let slot = firstAtLeast(positions, span.start);
        slot < positions.length && positions[slot]! < span.end;
        slot++
      )
        found.push(slot);
    }
    slots = Int32Array.from(found).sort();
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

/** Evidence recall of a whole cache: mean over layers and KV heads. */
export const cacheRecall = (device: Device, row: Row, shapes: readonly LayerShape[]): number => {
  const wanted = evidenceTokens(row.evidence);
  let sum = 0;
  let heads = 0;
  forEachHead(shapes, (layer, head, index) => {
    sum += evidenceSlots(device, row, layer, head, index).length / wanted;
    heads++;
  });
  return sum / heads;
};

/** Original positions that each layer and KV head holds. */
export const keptPositions = (device: Device, row: Row, shapes: readonly LayerShape[]): Int32Array[][] =>
  shapes.map((shape, layer) =>
    Array.from({ length: shape.numKvHeads }, (_, head) => device.addon.cachePositions(row.cache, layer, head)),
  );
