import { WinnowError } from '../../core/errors.js';
import type { Ragged } from '../../methods/contract.js';
import { actionLists } from './apply-lists.js';
import { requireElements } from './apply-pack.js';
import { device as deviceOf } from './device.js';
import type { Group, GroupContext } from './group.js';
import { headOffset } from './prefill.js';
import type { Row } from './rows.js';
import { keepTier } from './tier.js';

/** Drops the slots that no list names; `heldAtEnd` slots at the end of every list must survive. */
export const keepSlots = (
  context: GroupContext,
  group: Group,
  layer: number,
  lists: Ragged,
  heldAtEnd: number,
): void => {
  const { device } = context;
  const heads = context.shapes[layer]!.numKvHeads;
  const offset = headOffset(context.shapes, layer);
  const action = actionLists(context, group, layer, lists, 'keep.slots');
  const isShorter = (row: Row, lens: Int32Array): boolean =>
    lens.some((length, h) => length >= 0 && length < row.slots[offset + h]!);
  const shorter = group.rows.map((row, r) => {
    requireElements(row, layer, 'keep');
    const lens = action.lens(r);
    if (!isShorter(row, lens)) return undefined;
    if (heldAtEnd > 0) requireHeld(row, offset, heldAtEnd, lens, (head) => action.entries(r, head));
    return lens;
  });
  if (shorter.every((lens) => lens === undefined)) return;
  device.addon.cacheKeepRows(group.caches, layer, deviceOf(lists.values).id, deviceOf(lists.lens).id);
  group.rows.forEach((row, r) => {
    const lens = shorter[r];
    if (lens === undefined) return;
    const hasBooks = row.origins !== undefined || row.tier !== undefined;
    if (group.state.hasSlots || hasBooks) {
      const kept = Array.from({ length: heads }, (_, head) =>
        lens[head]! < 0
          ? Int32Array.from({ length: row.slots[offset + head]! }, (_slot, slot) => slot)
          : action.entries(r, head),
      );
      group.state.compact(r, layer, kept);
      kept.forEach((slots, head) => {
        const origins = row.origins?.get(offset + head);
        if (origins !== undefined) row.origins!.set(offset + head, keptOrigins(origins, slots));
        keepTier(row, offset + head, slots);
      });
    }
    for (let h = 0; h < heads; h++) {
      row.evidenceSlots.delete(offset + h);
      if (lens[h]! >= 0) row.slots[offset + h] = lens[h]!;
    }
  });
};

/** Slots behind the end of the books are tokens of the text at their own positions: they stay behind it. */
const keptOrigins = (origins: Int32Array, slots: Int32Array): Int32Array =>
  Int32Array.from(
    slots.filter((slot) => slot < origins.length),
    (slot) => origins[slot]!,
  );

/** The prompt's last tokens are read again through the compressed cache: a method that drops their slots cannot be evaluated so. */
const requireHeld = (
  row: Row,
  offset: number,
  held: number,
  lens: Int32Array,
  entriesOf: (head: number) => Int32Array,
): void => {
  lens.forEach((length, head) => {
    if (length < 0) return;
    const slots = row.slots[offset + head]!;
    if (length >= held && entriesOf(head)[length - held] === slots - held) return;
    throw new WinnowError(
      'ERR_CONTRACT',
      `${row.key}.keep`,
      `the prompt's last ${held} slots in every list`,
      `a list of head ${head} without them`,
      'Protect at least that many recents.',
    );
  });
};
