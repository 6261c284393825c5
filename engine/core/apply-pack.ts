import { WinnowError } from '../../core/errors.js';
import type { CacheAction } from '../../methods/contract.js';
import { actionLists } from './apply-lists.js';
import type { Group, GroupContext } from './group.js';
import { headOffset } from './prefill.js';
import { PAGE_SLOTS, type Row, type ThinnedKeys } from './rows.js';

type Action<Kind extends CacheAction['kind']> = Extract<CacheAction, { kind: Kind }>;

/** Slots that are packed cannot be moved about any more: their codes share scales and pages. */
export const requireElements = (row: Row, layer: number, action: string): void => {
  const packed =
    row.quantised.has(`${layer}:keys`) || row.quantised.has(`${layer}:values`)
      ? 'quantised'
      : row.thinned?.has(layer) === true
        ? 'thinned (channels)'
        : undefined;
  if (packed === undefined) return;
  throw new WinnowError(
    'ERR_COMPOSE',
    `${row.key}.${action}`,
    `${action} before slots are packed`,
    `${action} on ${packed} slots of layer ${layer}`,
    'Pack only slots that stay as they are from then on.',
  );
};

/** One border per layer: the shortest head decides, so that no head's recent slots are touched. */
const borderOf = (context: GroupContext, row: Row, layer: number, upTo: number, leaveLast: number): number => {
  const end = headOffset(context.shapes, layer + 1);
  let shortest = Number.MAX_SAFE_INTEGER;
  for (let head = end - context.shapes[layer]!.numKvHeads; head < end; head++)
    shortest = Math.min(shortest, row.slots[head]!);
  const free = Math.min(upTo, shortest - leaveLast);
  return free - (free % PAGE_SLOTS);
};

/** Whether pages of any row were packed. */
export const quantiseSlots = (
  context: GroupContext,
  group: Group,
  layer: number,
  action: Action<'quantise'>,
): boolean => {
  if (action.codebook !== undefined || action.outlierFraction !== undefined) {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      'quantise',
      'uniform codes',
      action.codebook !== undefined ? 'a codebook' : 'an outlier fraction',
      'They are part of the contract, but not of this engine yet.',
    );
  }
  const plane = `${layer}:${action.what}`;
  let packed = false;
  for (const row of group.rows) {
    if (action.what === 'keys' && row.thinned?.has(layer) === true) requireElements(row, layer, 'quantise');
    const upTo = borderOf(context, row, layer, action.upTo, action.leaveLast ?? 0);
    if (upTo < PAGE_SLOTS || upTo === row.quantised.get(plane)?.upTo) continue;
    context.device.addon.cacheQuantise(
      row.cache,
      layer,
      action.what === 'keys' ? 0 : 1,
      upTo,
      action.bits,
      action.group,
      action.along === 'channel' ? 0 : 1,
    );
    row.quantised.set(plane, {
      layer,
      what: action.what,
      upTo,
      bits: action.bits,
      group: action.group,
      along: action.along,
    });
    packed = true;
  }
  return packed;
};

/** Keys of whole pages keep the listed channels only. */
export const thinKeys = (context: GroupContext, group: Group, layer: number, action: Action<'channels'>): void => {
  const { device } = context;
  const heads = context.shapes[layer]!.numKvHeads;
  const lists = actionLists(context, group, layer, action.keep, 'channels.keep');
  group.rows.forEach((row, r) => {
    if (row.quantised.has(`${layer}:keys`)) requireElements(row, layer, 'channels');
    const upTo = borderOf(context, row, layer, action.upTo ?? Number.MAX_SAFE_INTEGER, action.leaveLast ?? 0);
    if (upTo < PAGE_SLOTS) return;
    const lens = lists.lens(r);
    device.scope(() => {
      const channels = lists.ofRow(action.keep.values, r);
      device.addon.cacheKeepChannels(row.cache, layer, upTo, channels.id, device.i32(lens, [heads]).id);
    });
    row.thinned ??= new Map();
    const books: ThinnedKeys = row.thinned.get(layer) ?? {
      slots: new Int32Array(heads),
      bytes: new Float64Array(heads),
    };
    row.thinned.set(layer, books);
    lens.forEach((kept, head) => {
      const added = kept < 0 ? 0 : upTo - books.slots[head]!;
      if (added <= 0) return;
      books.slots[head] = upTo;
      // Elements of the channels kept, and one byte a page for the number of each.
      books.bytes[head]! += added * kept * context.elementBytes + (added / PAGE_SLOTS) * kept;
    });
  });
};
