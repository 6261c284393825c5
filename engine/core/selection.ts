import { WinnowError } from '../../core/errors.js';
import type { AttentionPlan, KeySet, Ragged, Scope } from '../../methods/contract.js';
import { type Device, device as deviceOf } from './device.js';
import type { Group, GroupContext } from './group.js';
import { headOffset } from './prefill.js';
import { type Row, recallOf, slotBytes } from './rows.js';

/** Books of one row during a step. */
export interface RowMeter {
  slotsRead: Int32Array;
  bytes: number;
  recallSum: number;
  recallHeads: number;
  /** A selector decided what is read; otherwise everything is. */
  selected: boolean;
}

/** The lists a plan reads, or undefined for everything. */
export const listsOf = (plan: AttentionPlan): { lists: Ragged; page: number } | undefined => {
  const [part] = plan.parts;
  if (
    plan.parts.length !== 1 ||
    part === undefined ||
    plan.mix !== 'one-softmax' ||
    plan.headGain !== undefined ||
    plan.queryScale !== undefined ||
    part.bias !== undefined
  ) {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      'decode.select',
      'one part with one softmax and no gains',
      `${plan.parts.length} parts`,
      'Other plans come later.',
    );
  }
  const keys: KeySet = part.keys;
  if (keys.kind === 'all') return undefined;
  if (keys.kind === 'tokens') return { lists: keys.indices, page: 0 };
  if (keys.kind === 'blocks') return { lists: keys.lists, page: keys.keyBlock };
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    'decode.select',
    'keys of kind all, tokens or blocks',
    keys.kind,
    'Other key sets come later.',
  );
};

export interface HostLists {
  readonly scope: Scope;
  readonly values: Int32Array;
  readonly lens: Int32Array;
  readonly heads: number;
  readonly maxLen: number;
}

export const downloadLists = (device: Device, lists: Ragged): HostLists => {
  const values = deviceOf(lists.values);
  return {
    scope: lists.scope,
    values: device.addon.download(values.id) as Int32Array,
    lens: device.addon.download(deviceOf(lists.lens).id) as Int32Array,
    heads: values.shape[1] ?? 0,
    maxLen: values.shape[2] ?? 0,
  };
};

/** Slots read of one row and KV head: the listed ones and the new ones, ascending, each once per list that reads it. */
export const meterLists = (
  context: GroupContext,
  group: Group,
  layer: number,
  host: HostLists,
  page: number,
  queryLen: number,
  meters: readonly RowMeter[],
  wantRecall: boolean,
): Int32Array[][] => {
  const { shapes, device, elementBytes } = context;
  const shape = shapes[layer]!;
  const heads = shape.numKvHeads;
  const offset = headOffset(shapes, layer);
  const listsPerHead = host.scope === 'queryHead' ? shape.numQueryHeads / heads : 1;
  return group.rows.map((row, r) => {
    const meter = begin(meters[r]!, row);
    const packed = row.quantised.size === 0 ? undefined : device.addon.cacheReadBytes(row.cache, layer);
    return Array.from({ length: heads }, (_, head) => {
      const length = row.slots[offset + head]!;
      const read = new Set<number>();
      let count = 0;
      for (let l = 0; l < listsPerHead; l++) {
        const list =
          r * host.heads + (host.heads === 1 ? 0 : host.scope === 'queryHead' ? head * listsPerHead + l : head);
        const entries = host.lens[list]!;
        const own = new Set<number>();
        if (entries < 0) for (let slot = 0; slot < length; slot++) own.add(slot);
        for (let i = 0; i < entries; i++) {
          const value = host.values[list * host.maxLen + i]!;
          if (page === 0) own.add(value);
          else for (let slot = value * page; slot < Math.min(length, (value + 1) * page); slot++) own.add(slot);
        }
        for (let slot = length - queryLen; slot < length; slot++) own.add(slot);
        count += own.size;
        for (const slot of own) read.add(slot);
      }
      meter.slotsRead[offset + head] = count;
      // Slots of packed groups share scales: a part of a group is billed its share of the head's bytes, rounded to whole bytes.
      meter.bytes +=
        packed === undefined ? count * slotBytes(shape, elementBytes) : Math.round((count * packed[head]!) / length);
      const slots = Int32Array.from(read).sort();
      if (wantRecall && row.evidence.length > 0) {
        const positions = device.addon.cachePositions(row.cache, layer, head);
        meter.recallSum += recallOf(
          slots.map((slot) => positions[slot]!),
          row.evidence,
        );
        meter.recallHeads++;
      }
      return slots;
    });
  });
};

/** A layer that a selecting method reads whole. */
export const meterWholeLayer = (
  context: GroupContext,
  group: Group,
  layer: number,
  meters: readonly RowMeter[],
  wantRecall: boolean,
): void => {
  const { shapes, device } = context;
  const offset = headOffset(shapes, layer);
  group.rows.forEach((row, r) => {
    const meter = begin(meters[r]!, row);
    for (const bytes of device.addon.cacheReadBytes(row.cache, layer)) meter.bytes += bytes;
    if (!wantRecall || row.evidence.length === 0) return;
    for (let head = 0; head < shapes[layer]!.numKvHeads; head++) {
      meter.slotsRead[offset + head] = row.slots[offset + head]!;
      meter.recallSum += recallOf(device.addon.cachePositions(row.cache, layer, head), row.evidence);
      meter.recallHeads++;
    }
  });
};

const begin = (meter: RowMeter, row: Row): RowMeter => {
  if (!meter.selected) {
    meter.selected = true;
    meter.slotsRead = row.slots.slice();
  }
  return meter;
};
