/** What a step changes in the engine's books: slots, positions, bytes. */
import type { Group, GroupContext } from './group.js';
import { headOffset } from './prefill.js';
import { type Row, slotBytes } from './rows.js';
import type { RowMeter } from './selection.js';

export const firstNewSlots = (context: GroupContext, group: Group, layer: number, queryLen: number): number[] => {
  const offset = headOffset(context.shapes, layer);
  const heads = context.shapes[layer]!.numKvHeads;
  return group.rows.map(
    (row) =>
      row.slots.subarray(offset, offset + heads).reduce((a, b) => Math.min(a, b), Number.MAX_SAFE_INTEGER) - queryLen,
  );
};

export const appendedBytes = (context: GroupContext): number =>
  context.shapes.reduce((sum, s) => sum + s.numKvHeads * slotBytes(s, context.elementBytes), 0);

/** Rows without a selection read everything. */
export const settleMeters = (rows: readonly Row[], meters: readonly RowMeter[]): void => {
  rows.forEach((row, r) => {
    const meter = meters[r]!;
    if (meter.selected) return;
    meter.slotsRead = row.slots.slice();
    meter.bytes = row.fullReadBytes;
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
      for (let i = 0; i < row.slots.length; i++) row.slots[i]! -= dropped;
      row.fullReadBytes -= dropped * appendedBytes(context);
    }
    if (!group.state.hasPages) continue;
    context.shapes.forEach((_, layer) => {
      group.state.refresh(layer, [...group.caches], firstNewSlots(context, group, layer, 0));
    });
  }
};
