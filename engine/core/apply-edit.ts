import { WinnowError } from '../../core/errors.js';
import type { CacheAction } from '../../methods/contract.js';
import { actionLists } from './apply-lists.js';
import { requireElements } from './apply-pack.js';
import { type DeviceTensor, device as deviceOf } from './device.js';
import type { Group, GroupContext } from './group.js';
import { headOffset } from './prefill.js';
import { originsOf } from './rows.js';
import { insertTier } from './tier.js';

type Action<Kind extends CacheAction['kind']> = Extract<CacheAction, { kind: Kind }>;

/** Synthetic slots, before the `heldAtEnd` last ones of each head; entries with a negative count are no slots. */
export const appendSlots = (
  context: GroupContext,
  group: Group,
  layer: number,
  action: Action<'append'>,
  heldAtEnd: number,
): void => {
  const { device, shapes } = context;
  const shape = shapes[layer]!;
  const offset = headOffset(shapes, layer);
  const [rows = 0, heads = 0, added = 0] = action.counts.shape;
  if (rows !== group.rows.length || heads !== shape.numKvHeads)
    throw new WinnowError(
      'ERR_CONTRACT',
      'append.counts',
      `[${group.rows.length}, ${shape.numKvHeads}, slots]`,
      action.counts.shape,
    );
  const counts = device.addon.download(deviceOf(action.counts).id) as Int32Array;
  group.rows.forEach((row, r) => {
    const grown = Int32Array.from(
      { length: heads },
      (_, h) => counts.subarray((r * heads + h) * added, (r * heads + h + 1) * added).filter((c) => c >= 0).length,
    );
    if (grown.every((n) => n === 0)) return;
    device.scope(() => {
      const cut = (t: DeviceTensor): number => device.reshape(device.slice(t, r, 1), t.shape.slice(1)).id;
      device.addon.cacheAppend(
        row.cache,
        layer,
        cut(deviceOf(action.keys)),
        cut(deviceOf(action.values)),
        cut(deviceOf(action.positions)),
        cut(deviceOf(action.counts)),
        cut(deviceOf(action.bias)),
        heldAtEnd,
      );
    });
    grown.forEach((n, head) => {
      if (n === 0) return;
      const index = offset + head;
      const at = row.slots[index]! - heldAtEnd;
      const old = originsOf(device, row, layer, head, index);
      row.origins!.set(
        index,
        Int32Array.from({ length: Math.max(old.length, at) + n }, (_, slot) =>
          slot < at ? (old[slot] ?? -1) : slot < at + n ? -1 : old[slot - n]!,
        ),
      );
      insertTier(row, index, at, n);
      row.slots[index]! += n;
      row.evidenceSlots.delete(index);
    });
    group.state.insert(r, layer, grown, row.slots.subarray(offset, offset + heads), heldAtEnd, row.nextPosition);
  });
};

/** Moves slots to other positions. The books keep where they came from. */
export const rotateSlots = (context: GroupContext, group: Group, layer: number, action: Action<'rotate'>): void => {
  const { device, shapes } = context;
  const heads = shapes[layer]!.numKvHeads;
  const offset = headOffset(shapes, layer);
  const { layout } = group.rows[0]!.resolved.declaration;
  if (layout.keyBasis !== undefined) {
    throw new WinnowError(
      'ERR_COMPOSE',
      `${group.rows[0]!.key}.rotate`,
      'keys in their own basis',
      `rotation and layout.keyBasis ${layout.keyBasis}`,
      'Positions cannot be turned in another basis: leave one of them out.',
    );
  }
  const lists = actionLists(context, group, layer, action.slots, 'rotate.slots');
  group.rows.forEach((row, r) => {
    requireElements(row, layer, 'rotate');
    const lens = lists.lens(r);
    lens.forEach((length, head) => {
      if (length !== 0) originsOf(device, row, layer, head, offset + head);
    });
    device.scope(() => {
      device.addon.cacheRotate(
        row.cache,
        layer,
        lists.ofRow(action.slots.values, r).id,
        device.i32(lens, [heads]).id,
        lists.ofRow(action.delta, r).id,
        layout.keyRope === 'pre'
          ? 0
          : context.rotary(layer, farthest(lens, (head) => lists.hostOf(action.delta, r, head)) + 1, row.nextPosition)
              .id,
      );
    });
  });
};

/** The largest distance of a row's moves. */
const farthest = (lens: Int32Array, deltasOf: (head: number) => ArrayLike<number>): number => {
  let most = 0;
  lens.forEach((length, head) => {
    const deltas = deltasOf(head);
    const count = length < 0 ? deltas.length : length;
    for (let i = 0; i < count; i++) most = Math.max(most, Math.abs(deltas[i]!));
  });
  return most;
};
