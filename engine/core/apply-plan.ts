import { WinnowError } from '../../core/errors.js';
import type { CachePlan, Ragged } from '../../methods/contract.js';
import { device as deviceOf } from './device.js';
import type { Group, GroupContext } from './group.js';
import { headOffset } from './prefill.js';
import { PAGE_SLOTS, type Row, refreshReadBytes } from './rows.js';

/** Applies a plan to every row of a group; `heldAtEnd` slots at the end of every list must survive; keeps books, state and page fields in step with the cache. */
export const applyPlan = (context: GroupContext, group: Group, plan: CachePlan, heldAtEnd = 0): void => {
  const touched = new Set<Row>();
  for (const { layer, actions } of plan) {
    for (const action of actions) {
      switch (action.kind) {
        case 'keep':
          keepSlots(context, group, layer, action.slots, heldAtEnd);
          break;
        case 'quantise': {
          if (action.codebook !== undefined || action.outlierFraction !== undefined)
            unsupported('quantise with a codebook or outliers');
          const shape = context.shapes[layer]!;
          const offset = headOffset(context.shapes, layer);
          for (const row of group.rows) {
            // One border per layer: the shortest head decides, so that no head's recent slots are touched.
            const shortest = row.slots.subarray(offset, offset + shape.numKvHeads).reduce((a, b) => Math.min(a, b));
            const free = Math.min(action.upTo, shortest - (action.leaveLast ?? 0));
            const upTo = free - (free % PAGE_SLOTS);
            if (upTo < PAGE_SLOTS || upTo === row.quantised.get(`${layer}:${action.what}`)?.upTo) continue;
            context.device.addon.cacheQuantise(
              row.cache,
              layer,
              action.what === 'keys' ? 0 : 1,
              upTo,
              action.bits,
              action.group,
              action.along === 'channel' ? 0 : 1,
            );
            row.quantised.set(`${layer}:${action.what}`, {
              layer,
              what: action.what,
              upTo,
              bits: action.bits,
              group: action.group,
              along: action.along,
            });
            touched.add(row);
          }
          break;
        }
        default:
          unsupported(action.kind);
      }
      if (action.kind === 'keep') for (const row of group.rows) touched.add(row);
    }
  }
  for (const row of touched) refreshReadBytes(context.device, row, context.shapes);
};

const unsupported = (what: string): never => {
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    'cache action',
    'keep or quantise',
    what,
    'Other actions are part of the contract, but not of this engine yet.',
  );
};

const keepSlots = (context: GroupContext, group: Group, layer: number, lists: Ragged, heldAtEnd: number): void => {
  const { device } = context;
  const shape = context.shapes[layer]!;
  const heads = shape.numKvHeads;
  const offset = headOffset(context.shapes, layer);
  if (lists.scope !== 'kvHead' && lists.scope !== 'layer') {
    throw new WinnowError(
      'ERR_CONTRACT',
      'keep.slots',
      'lists per KV head or per layer',
      lists.scope,
      'Reduce query heads first.',
    );
  }
  const values = deviceOf(lists.values);
  const [listRows = 0, listHeads = 0, maxLen = 0] = values.shape;
  if (listRows !== group.rows.length || listHeads !== (lists.scope === 'layer' ? 1 : heads)) {
    throw new WinnowError(
      'ERR_CONTRACT',
      'keep.slots',
      `[${group.rows.length}, ${lists.scope === 'layer' ? 1 : heads}, …]`,
      values.shape,
    );
  }
  const hostLens = device.addon.download(deviceOf(lists.lens).id) as Int32Array;
  const needsSlots = Object.values(group.rows[0]!.resolved.declaration.state).some((field) => field.per === 'slot');
  const hostValues = needsSlots || heldAtEnd > 0 ? (device.addon.download(values.id) as Int32Array) : undefined;

  group.rows.forEach((row, r) => {
    if (row.quantised.has(`${layer}:keys`) || row.quantised.has(`${layer}:values`)) {
      throw new WinnowError(
        'ERR_COMPOSE',
        `${row.key}.keep`,
        'eviction before quantisation',
        'a keep action on quantised slots',
        'Quantise only slots that will not be evicted.',
      );
    }
    const rowLens = Int32Array.from({ length: heads }, (_, h) => hostLens[r * listHeads + (listHeads === 1 ? 0 : h)]!);
    const keepsAll = rowLens.every((length, h) => length < 0 || length >= row.slots[offset + h]!);
    if (keepsAll) return;
    if (heldAtEnd > 0)
      requireHeld(
        row,
        offset,
        heldAtEnd,
        rowLens,
        (h) => (r * listHeads + (listHeads === 1 ? 0 : h)) * maxLen,
        hostValues!,
      );
    device.scope(() => {
      let rowValues = device.reshape(device.slice(values, r, 1), [listHeads, maxLen]);
      if (listHeads !== heads) rowValues = device.repeat(rowValues, heads);
      device.addon.cacheKeep(row.cache, layer, rowValues.id, device.i32(rowLens, [heads]).id);
    });
    if (needsSlots && hostValues !== undefined) {
      const kept = Array.from({ length: heads }, (_, h) => {
        const list = r * listHeads + (listHeads === 1 ? 0 : h);
        return hostValues.subarray(list * maxLen, list * maxLen + Math.max(0, rowLens[h]!));
      });
      group.state.compact(r, layer, kept);
    }
    for (let h = 0; h < heads; h++) {
      row.evidenceSlots.delete(offset + h);
      if (rowLens[h]! >= 0) row.slots[offset + h] = rowLens[h]!;
    }
  });
  if (group.state.hasPages)
    group.state.refresh(
      layer,
      [...group.caches],
      group.rows.map(() => 0),
    );
};

/** The prompt's last tokens are read again through the compressed cache: a method that drops their slots cannot be evaluated so. */
const requireHeld = (
  row: Row,
  offset: number,
  held: number,
  lens: Int32Array,
  startOf: (head: number) => number,
  values: Int32Array,
): void => {
  lens.forEach((length, head) => {
    if (length < 0) return;
    const slots = row.slots[offset + head]!;
    if (length >= held && values[startOf(head) + length - held] === slots - held) return;
    throw new WinnowError(
      'ERR_CONTRACT',
      `${row.key}.keep`,
      `the prompt's last ${held} slots in every list`,
      `a list of head ${head} without them`,
      'Protect at least that many recents.',
    );
  });
};
