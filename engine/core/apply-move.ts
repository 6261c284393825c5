import { WinnowError } from '../../core/errors.js';
import type { CacheAction } from '../../methods/contract.js';
import { actionLists } from './apply-lists.js';
import { requireElements } from './apply-pack.js';
import type { Group, GroupContext } from './group.js';
import { headOffset } from './prefill.js';
import { moveTier } from './tier.js';

/** Moves slots between the device and the tier. The cache itself stays where it is: a tier on this backend is books and traffic. */
export const moveSlots = (
  context: GroupContext,
  group: Group,
  layer: number,
  action: Extract<CacheAction, { kind: 'move' }>,
): void => {
  const { id } = group.rows[0]!.resolved.bound.method;
  if (!group.rows[0]!.resolved.declaration.layout.tier)
    throw new WinnowError(
      'ERR_CONTRACT',
      `${id}.move`,
      'layout.tier declared',
      'a move without it',
      'Declare the tier.',
    );
  if (action.channels !== undefined) {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${id}.move.channels`,
      'keys, values or both, whole',
      'some channels',
      'It is part of the contract, but not of this engine yet.',
    );
  }
  const offset = headOffset(context.shapes, layer);
  const lists = actionLists(context, group, layer, action.slots, 'move.slots');
  group.rows.forEach((row, r) => {
    requireElements(row, layer, 'move');
    lists.lens(r).forEach((length, head) => {
      const index = offset + head;
      const slots =
        length < 0 ? Int32Array.from({ length: row.slots[index]! }, (_, slot) => slot) : lists.entries(r, head);
      const wrong = slots.find((slot) => slot < 0 || slot >= row.slots[index]!);
      if (wrong !== undefined)
        throw new WinnowError('ERR_CONTRACT', `${id}.move.slots`, `slots below ${row.slots[index]!}`, wrong);
      moveTier(context, row, layer, index, slots, action.what, action.to);
    });
  });
};
