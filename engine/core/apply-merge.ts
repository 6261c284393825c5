import type { CacheAction } from '../../methods/contract.js';
import { actionLists } from './apply-lists.js';
import { requireElements } from './apply-pack.js';
import type { Group, GroupContext } from './group.js';
import { headOffset } from './prefill.js';
import type { SlotMerge } from './state.js';

const keysCode = { none: 0, mean: 1, direction: 2 } as const;
const valuesCode = { mean: 0, add: 1 } as const;
const biasCode = { none: 0, 'log-count': 1 } as const;

/** Merges slots into others of their head; state of the slots follows by its own rule. Sources stay until a `keep`. */
export const mergeSlots = (
  context: GroupContext,
  group: Group,
  layer: number,
  action: Extract<CacheAction, { kind: 'merge' }>,
): void => {
  const { device, shapes } = context;
  const { addon } = device;
  const heads = shapes[layer]!.numKvHeads;
  const offset = headOffset(shapes, layer);
  const lists = actionLists(context, group, layer, action.from, 'merge.from');
  group.rows.forEach((row, r) => {
    requireElements(row, layer, 'merge');
    const lens = lists.lens(r);
    if (lens.every((length) => length <= 0)) return;
    if (group.state.hasSlots) {
      const counts = device.scope(() => addon.download(addon.cacheRead(row.cache, layer, 3)) as Int32Array);
      const longest = counts.length / heads;
      const merges = Array.from(
        { length: heads },
        (_, head): SlotMerge => ({
          from: lists.entries(r, head),
          into: lists.hostOf(action.into, r, head) as Int32Array,
          weight: lists.hostOf(action.weight, r, head) as Float32Array,
          counts: counts.subarray(head * longest, head * longest + row.slots[offset + head]!),
        }),
      );
      group.state.merge(r, layer, merges);
    }
    device.scope(() => {
      addon.cacheMerge(
        row.cache,
        layer,
        lists.ofRow(action.from.values, r).id,
        device.i32(lens, [heads]).id,
        lists.ofRow(action.into, r).id,
        lists.ofRow(action.weight, r).id,
        keysCode[action.keys],
        valuesCode[action.values],
        biasCode[action.bias],
      );
    });
  });
};
