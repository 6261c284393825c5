/**
 * Books of the second cache tier: which planes of which slots lie there, which of them a step fetched, and the bytes moved.
 *
 * A fetched plane stays on the device while every following step reads it; a step that leaves it out drops the copy. Traffic of a step
 * is therefore the set difference to the step before, whatever the plan asked for.
 */
import type { LayerShape } from '../../methods/contract.js';
import type { Row } from './rows.js';

const KEYS = 1;
const VALUES = 2;
/** What the bytes of planes follow from. */
interface Sizes {
  readonly shapes: readonly LayerShape[];
  readonly elementBytes: number;
}
export type Planes = 'keys' | 'values' | 'both';
const bitsOf = { keys: KEYS, values: VALUES, both: KEYS | VALUES } as const satisfies Record<Planes, number>;

/** Plane bits by slot of each head (layer-major); slots beyond an array's end are on the device. */
export interface Tier {
  readonly away: Map<number, Uint8Array>;
  /** Copies on the device that the last step fetched or kept. */
  fetched: Map<number, Uint8Array>;
  /** Copies that the step in progress has read. */
  reading: Map<number, Uint8Array>;
  movedBytes: number;
}

export const createTier = (): Tier => ({ away: new Map(), fetched: new Map(), reading: new Map(), movedBytes: 0 });

export const copyTier = (tier: Tier): Tier => {
  const copy = (map: Map<number, Uint8Array>) => new Map([...map].map(([index, bits]) => [index, bits.slice()]));
  return {
    away: copy(tier.away),
    fetched: copy(tier.fetched),
    reading: copy(tier.reading),
    movedBytes: tier.movedBytes,
  };
};

const planeBytes = ({ shapes, elementBytes }: Sizes, layer: number, bits: number): number => {
  const { headDim, headDimV } = shapes[layer]!;
  return ((bits & KEYS ? headDim : 0) + (bits & VALUES ? headDimV : 0)) * elementBytes;
};

const grown = (map: Map<number, Uint8Array>, index: number, length: number): Uint8Array => {
  const old = map.get(index);
  if (old !== undefined && old.length >= length) return old;
  const bits = new Uint8Array(length);
  if (old !== undefined) bits.set(old);
  map.set(index, bits);
  return bits;
};

/** Moves planes of slots; what is there already is not moved again, nor what was fetched and is asked for. */
export const moveTier = (
  sizes: Sizes,
  row: Row,
  layer: number,
  index: number,
  slots: Int32Array,
  what: Planes,
  to: 'device' | 'tier',
): void => {
  row.tier ??= createTier();
  const { tier } = row;
  const wanted = bitsOf[what];
  const away = grown(tier.away, index, row.slots[index]!);
  const fetched = tier.fetched.get(index);
  for (const slot of slots) {
    const moves = to === 'tier' ? wanted & ~away[slot]! : wanted & away[slot]!;
    if (to === 'tier') away[slot]! |= wanted;
    else away[slot]! &= ~wanted;
    const held = fetched?.[slot] ?? 0;
    tier.movedBytes += planeBytes(sizes, layer, to === 'tier' ? moves : moves & ~held);
    if (to === 'device' && fetched !== undefined && slot < fetched.length) fetched[slot]! &= ~wanted;
  }
};

/** Attention reads these slots of a head (undefined: all): what lies at the tier is fetched unless a copy is there. */
export const readTier = (sizes: Sizes, row: Row, layer: number, index: number, slots: Int32Array | undefined): void => {
  const away = row.tier?.away.get(index);
  if (row.tier === undefined || away === undefined) return;
  const { tier } = row;
  const reading = grown(tier.reading, index, away.length);
  const fetched = tier.fetched.get(index);
  const read = (slot: number): void => {
    const bits = away[slot] ?? 0;
    if (bits === 0) return;
    const held = (fetched?.[slot] ?? 0) | reading[slot]!;
    tier.movedBytes += planeBytes(sizes, layer, bits & ~held);
    reading[slot]! |= bits;
  };
  if (slots === undefined) for (let slot = 0; slot < away.length; slot++) read(slot);
  else for (const slot of slots) read(slot);
};

/** An op reads a share of the channels of one plane of all slots of a layer: it passes by and is not kept. */
export const streamTier = (
  sizes: Sizes,
  row: Row,
  layer: number,
  firstHead: number,
  what: 'keys' | 'values',
  share: number,
): void => {
  if (row.tier === undefined) return;
  for (let head = 0; head < sizes.shapes[layer]!.numKvHeads; head++) {
    const away = row.tier.away.get(firstHead + head);
    const held = row.tier.fetched.get(firstHead + head);
    away?.forEach((bits, slot) => {
      row.tier!.movedBytes += share * planeBytes(sizes, layer, bits & bitsOf[what] & ~(held?.[slot] ?? 0));
    });
  }
};

/** Whether keys and values of a slot both lie there. */
export const liesAtTier = (row: Row, index: number, slot: number): boolean =>
  row.tier?.away.get(index)?.[slot] === (KEYS | VALUES);

/** Queries out and outputs back. */
export const sendToTier = (row: Row, bytes: number): void => {
  if (row.tier !== undefined) row.tier.movedBytes += bytes;
};

/** Ends a step: copies that it did not read are dropped. Returns the bytes moved since the last end. */
export const endTierStep = (row: Row): number => {
  if (row.tier === undefined) return 0;
  const moved = row.tier.movedBytes;
  row.tier.movedBytes = 0;
  row.tier.fetched = row.tier.reading;
  row.tier.reading = new Map();
  return moved;
};

/** Bytes that are not on the device: planes at the tier without a fetched copy. */
export const awayBytes = (sizes: Sizes, row: Row): number => {
  if (row.tier === undefined) return 0;
  let bytes = 0;
  let index = 0;
  sizes.shapes.forEach((shape, layer) => {
    for (let head = 0; head < shape.numKvHeads; head++, index++) {
      const held = row.tier!.fetched.get(index);
      row.tier!.away.get(index)?.forEach((bits, slot) => {
        bytes += planeBytes(sizes, layer, bits & ~(held?.[slot] ?? 0));
      });
    }
  });
  return bytes;
};

const eachMap = (row: Row, index: number, change: (bits: Uint8Array) => Uint8Array): void => {
  if (row.tier === undefined) return;
  for (const map of [row.tier.away, row.tier.fetched, row.tier.reading]) {
    const bits = map.get(index);
    if (bits !== undefined) map.set(index, change(bits));
  }
};

/** After a `keep`: places follow the slots kept. */
export const keepTier = (row: Row, index: number, slots: Int32Array): void =>
  eachMap(row, index, (bits) =>
    Uint8Array.from(
      slots.filter((slot) => slot < bits.length),
      (slot) => bits[slot]!,
    ),
  );

/** After an append of `count` slots at `at`: they are on the device. */
export const insertTier = (row: Row, index: number, at: number, count: number): void =>
  eachMap(row, index, (bits) => {
    if (at >= bits.length) return bits;
    const wider = new Uint8Array(bits.length + count);
    wider.set(bits.subarray(0, at));
    wider.set(bits.subarray(at), at + count);
    return wider;
  });

/** After the last slots were dropped. */
export const truncateTier = (row: Row, index: number, length: number): void =>
  eachMap(row, index, (bits) => bits.slice(0, length));
