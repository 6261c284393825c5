/** What a step changes in the engine's books: slots, positions, bytes. */
import { WinnowError } from '../../core/errors.js';
import type { TierReads } from './attend-plan.js';
import type { Group, GroupContext } from './group.js';
import { headOffset } from './prefill.js';
import { checkInReach } from './release.js';
import { bytesOutOfSight, forEachHead, type Row, slotBytes, slotsInSight } from './rows.js';
import type { RowMeter } from './selection.js';
import { headsRead } from './shared-cache.js';
import { liesAtTier, readTier, sendToTier, truncateTier } from './tier.js';

export const firstNewSlots = (context: GroupContext, group: Group, layer: number, queryLen: number): number[] => {
  const offset = headOffset(context.shapes, layer);
  const heads = context.shapes[layer]!.numKvHeads;
  return group.rows.map(
    (row) =>
      row.slots.subarray(offset, offset + heads).reduce((a, b) => Math.min(a, b), Number.MAX_SAFE_INTEGER) - queryLen,
  );
};

export const appendedBytes = (context: GroupContext): number =>
  context.shapes.reduce(
    (sum, s, layer) => sum + headsRead(context.shapes, layer) * slotBytes(s, context.elementBytes),
    0,
  );

/** Rows without a selection read everything. */
export const settleMeters = (context: GroupContext, rows: readonly Row[], meters: readonly RowMeter[]): void => {
  rows.forEach((row, r) => {
    const meter = meters[r]!;
    if (meter.selected) return;
    readTierLayers(context, row);
    meter.slotsRead = row.slots.slice();
    forEachHead(context.shapes, (layer, _, index) => {
      meter.slotsRead[index] = slotsInSight(context.shapes[layer]!, row.slots[index]!);
    });
    meter.bytes = row.fullReadBytes - bytesOutOfSight(row, context.shapes, context.elementBytes);
  });
};

/** What ops read counts as read, for every row of the group that called them. */
export const addBills = (groups: readonly Group[], meters: readonly RowMeter[]): void => {
  let r = 0;
  for (const group of groups) {
    for (const bytes of group.takeBill()) meters[r++]!.bytes += bytes;
  }
};

/** Takes the last slots of every head back, and what the books and page fields say of them. */
export const rollBack = (context: GroupContext, groups: readonly Group[], dropped: number): void => {
  for (const group of groups) {
    for (const row of group.rows) {
      context.device.addon.cacheDropLast(row.cache, dropped);
      for (let i = 0; i < row.slots.length; i++) {
        row.slots[i]! -= dropped;
        truncateTier(row, i, row.slots[i]!);
        const origins = row.origins?.get(i);
        if (origins !== undefined) row.origins!.set(i, origins.subarray(0, row.slots[i]!));
      }
      row.fullReadBytes -= dropped * appendedBytes(context);
      checkInReach(context.shapes, row);
    }
    if (!group.state.hasPages) continue;
    context.shapes.forEach((_, layer) => {
      group.state.refresh(layer, [...group.caches], firstNewSlots(context, group, layer, 0));
    });
  }
};

/** Attention read these slots of a layer, by row and KV head; undefined: all in sight. */
export const readTierLists = (
  context: GroupContext,
  group: Group,
  layer: number,
  read: readonly Int32Array[][] | undefined,
): void => {
  const offset = headOffset(context.shapes, layer);
  const heads = context.shapes[layer]!.numKvHeads;
  group.rows.forEach((row, r) => {
    if (row.tier === undefined) return;
    for (let head = 0; head < heads; head++)
      readTier(context, row, layer, offset + head, read?.[r]?.[head] ?? inSight(context, row, layer, offset + head));
  });
};

/** What a plan with parts at the tier read: those parts send queries out and take outputs back, the others fetch. */
export const readAtTier = (
  context: GroupContext,
  group: Group,
  layer: number,
  reads: TierReads,
  queryLen: number,
): void => {
  const shape = context.shapes[layer]!;
  const offset = headOffset(context.shapes, layer);
  const width = reads.atTier.length / (group.rows.length * shape.numKvHeads);
  const listed = (mask: Uint8Array, list: number): Int32Array => {
    const own = mask.subarray(list * width, (list + 1) * width);
    return Int32Array.from({ length: width }, (_, slot) => slot).filter((slot) => own[slot] === 1);
  };
  group.rows.forEach((row, r) => {
    if (row.tier === undefined) return;
    for (let head = 0; head < shape.numKvHeads; head++) {
      const list = r * shape.numKvHeads + head;
      const stray = listed(reads.atTier, list).find((slot) => !liesAtTier(row, offset + head, slot));
      if (stray !== undefined)
        throw new WinnowError('ERR_CONTRACT', 'plan.at', 'slots that lie at the tier', `slot ${stray} on the device`);
      readTier(context, row, layer, offset + head, listed(reads.onDevice, list));
    }
    // Query and output in the cache's element type, and a log-sum of f32, for every head and token.
    sendToTier(row, reads.sentHeads * queryLen * ((shape.headDim + shape.headDimV) * context.elementBytes + 4));
  });
};

const readTierLayers = (context: GroupContext, row: Row): void => {
  if (row.tier === undefined) return;
  let index = 0;
  context.shapes.forEach((shape, layer) => {
    for (let head = 0; head < shape.numKvHeads; head++, index++)
      readTier(context, row, layer, index, inSight(context, row, layer, index));
  });
};

/** Slots that attention over everything reads: all, or the last ones of a sliding layer. */
const inSight = (context: GroupContext, row: Row, layer: number, index: number): Int32Array | undefined => {
  const length = row.slots[index]!;
  const seen = slotsInSight(context.shapes[layer]!, length);
  return seen === length ? undefined : Int32Array.from({ length: seen }, (_, i) => length - seen + i);
};

export const hasTier = (group: Group): boolean => group.rows.some((row) => row.tier !== undefined);
