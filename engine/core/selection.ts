import type { Ragged, Scope } from '../../methods/contract.js';
import type { PlanReads } from './attend-plan.js';
import { type Device, device as deviceOf } from './device.js';
import type { Group, GroupContext } from './group.js';
import { headOffset } from './prefill.js';
import { evidenceSlots, evidenceTokens, type Row, slotBytes, slotsInSight } from './rows.js';

/** Books of one row during a step. */
export interface RowMeter {
  slotsRead: Int32Array;
  bytes: number;
  recallSum: number;
  recallHeads: number;
  /** A selector decided what is read; otherwise everything is. */
  selected: boolean;
}

export interface HostLists {
  readonly scope: Scope;
  readonly values: Int32Array;
  readonly lens: Int32Array;
  readonly heads: number;
  readonly maxLen: number;
}

/** Lists by what is known of their ends; the lists themselves are read when that is not enough. */
export interface BookedLists {
  readonly scope: Scope;
  readonly heads: number;
  /** Pairs of (entries, last entry). */
  readonly ends?: Int32Array;
  read(): HostLists;
}

export const bookedLists = (device: Device, lists: Ragged): BookedLists => {
  const values = deviceOf(lists.values);
  const ends = device.addon.listEnds?.(values.id);
  let host: HostLists | undefined;
  return {
    scope: lists.scope,
    heads: values.shape[1] ?? 0,
    ...(ends === undefined ? {} : { ends }),
    read() {
      host ??= downloadLists(device, lists);
      return host;
    },
  };
};

const downloadLists = (device: Device, lists: Ragged): HostLists => {
  const values = deviceOf(lists.values);
  return {
    scope: lists.scope,
    values: device.addon.download(values.id) as Int32Array,
    lens: device.addon.download(deviceOf(lists.lens).id) as Int32Array,
    heads: values.shape[1] ?? 0,
    maxLen: values.shape[2] ?? 0,
  };
};

/** Number of slots one list reads, new ones included, without listing them: this runs for every head of every layer and step. */
const countRead = (booked: BookedLists, list: number, page: number, length: number, queryLen: number): number => {
  if (booked.ends !== undefined) {
    const known = countByEnd(booked.ends[2 * list]!, booked.ends[2 * list + 1]!, page, length, queryLen);
    if (known !== undefined) return known;
  }
  const host = booked.read();
  const entries = host.lens[list]!;
  if (entries < 0) return length;
  const firstNew = length - queryLen;
  let old = 0;
  for (let i = list * host.maxLen; i < list * host.maxLen + entries; i++) {
    const value = host.values[i]!;
    if (page === 0) old += value < firstNew ? 1 : 0;
    else old += Math.max(0, Math.min(firstNew, (value + 1) * page) - value * page);
  }
  return old + queryLen;
};

/** The same of an ascending list that is known by its end: all entries but the last lie whole before the new slots. */
const countByEnd = (
  entries: number,
  last: number,
  page: number,
  length: number,
  queryLen: number,
): number | undefined => {
  if (entries < 0) return length;
  if (entries === 0) return queryLen;
  const firstNew = length - queryLen;
  const width = Math.max(1, page);
  if (last < 0 || last * width > firstNew) return undefined;
  return (entries - 1) * width + Math.min(firstNew, (last + 1) * width) - last * width + queryLen;
};

/** How many of the slots `held` (ascending) any of a head's lists names. */
const countHeld = (host: HostLists, first: number, lists: number, page: number, held: Int32Array): number => {
  const named = new Uint8Array(held.length);
  for (let list = first; list < first + lists; list++) {
    const entries = host.lens[list]!;
    if (entries < 0) return held.length;
    let at = 0;
    for (let i = list * host.maxLen; i < list * host.maxLen + entries && at < held.length; i++) {
      const start = page === 0 ? host.values[i]! : host.values[i]! * page;
      const end = page === 0 ? start + 1 : start + page;
      while (at < held.length && held[at]! < start) at++;
      while (at < held.length && held[at]! < end) named[at++] = 1;
    }
  }
  return named.reduce((sum, one) => sum + one, 0);
};

/** The slots themselves, ascending, for tests. */
const slotsRead = (
  host: HostLists,
  lists: readonly number[],
  page: number,
  length: number,
  queryLen: number,
): Int32Array => {
  const read = new Set<number>();
  for (const list of lists) {
    const entries = host.lens[list]!;
    if (entries < 0) for (let slot = 0; slot < length; slot++) read.add(slot);
    for (let i = list * host.maxLen; i < list * host.maxLen + entries; i++) {
      const value = host.values[i]!;
      if (page === 0) read.add(value);
      else for (let slot = value * page; slot < Math.min(length, (value + 1) * page); slot++) read.add(slot);
    }
  }
  for (let slot = length - queryLen; slot < length; slot++) read.add(slot);
  return Int32Array.from(read).sort();
};

export interface ListReading {
  readonly layer: number;
  readonly lists: BookedLists;
  /** Slots of a page; 0 when lists name slots. */
  readonly page: number;
  readonly queryLen: number;
  readonly wantRecall: boolean;
  /** Return the slots read per row and head. */
  readonly wantSlots: boolean;
}

/** Books what the lists of one layer read: slots (each once per list that reads it), bytes, evidence. */
export const meterLists = (
  context: GroupContext,
  group: Group,
  reading: ListReading,
  meters: readonly RowMeter[],
): Int32Array[][] => {
  const { shapes, device, elementBytes } = context;
  const { layer, lists: booked, page, queryLen } = reading;
  const shape = shapes[layer]!;
  const heads = shape.numKvHeads;
  const offset = headOffset(shapes, layer);
  const listsPerHead = booked.scope === 'queryHead' ? shape.numQueryHeads / heads : 1;
  return group.rows.map((row, r) => {
    const meter = begin(meters[r]!, row);
    const packed =
      row.quantised.size === 0 && row.thinned === undefined ? undefined : device.addon.cacheReadBytes(row.cache, layer);
    const wantRecall = reading.wantRecall && row.evidence.length > 0;
    const wanted = evidenceTokens(row.evidence);
    const perHead: Int32Array[] = [];
    for (let head = 0; head < heads; head++) {
      const length = row.slots[offset + head]!;
      const first = r * booked.heads + (booked.heads === 1 ? 0 : head * listsPerHead);
      let count = 0;
      for (let l = 0; l < listsPerHead; l++) count += countRead(booked, first + l, page, length, queryLen);
      meter.slotsRead[offset + head] = count;
      // Slots of packed groups share scales: a part of a group is billed its share of the head's bytes, rounded to whole bytes.
      meter.bytes +=
        packed === undefined ? count * slotBytes(shape, elementBytes) : Math.round((count * packed[head]!) / length);
      if (wantRecall) {
        const held = evidenceSlots(device, row, layer, head, offset + head);
        meter.recallSum += countHeld(booked.read(), first, listsPerHead, page, held) / wanted;
        meter.recallHeads++;
      }
      if (!reading.wantSlots) continue;
      const lists = Array.from({ length: listsPerHead }, (_, l) => first + l);
      perHead.push(slotsRead(booked.read(), lists, page, length, queryLen));
    }
    return perHead;
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
  const { shapes, device, elementBytes } = context;
  const offset = headOffset(shapes, layer);
  group.rows.forEach((row, r) => {
    const meter = begin(meters[r]!, row);
    device.addon.cacheReadBytes(row.cache, layer).forEach((bytes, head) => {
      const length = row.slots[offset + head]!;
      const inSight = slotsInSight(shapes[layer]!, length);
      meter.slotsRead[offset + head] = inSight;
      meter.bytes += inSight === length ? bytes : inSight * slotBytes(shapes[layer]!, elementBytes);
    });
    if (!wantRecall || row.evidence.length === 0) return;
    const wanted = evidenceTokens(row.evidence);
    for (let head = 0; head < shapes[layer]!.numKvHeads; head++) {
      meter.recallSum += evidenceSlots(device, row, layer, head, offset + head).length / wanted;
      meter.recallHeads++;
    }
  });
};

/** Books what the kernel says that a plan read of one layer. Returns the slots by row and KV head where they are known. */
export const meterReads = (
  context: GroupContext,
  group: Group,
  layer: number,
  reads: PlanReads,
  width: number,
  meters: readonly RowMeter[],
  wantRecall: boolean,
): Int32Array[][] | undefined => {
  const { shapes, device, elementBytes } = context;
  const shape = shapes[layer]!;
  const heads = shape.numKvHeads;
  const offset = headOffset(shapes, layer);
  const { seen } = reads;
  const slots = (list: number): Int32Array => {
    const found: number[] = [];
    for (let slot = 0; slot < width; slot++) if (seen![list * width + slot] === 1) found.push(slot);
    return Int32Array.from(found);
  };
  const perRow = group.rows.map((row, r) => {
    const meter = begin(meters[r]!, row);
    const packed =
      row.quantised.size === 0 && row.thinned === undefined ? undefined : device.addon.cacheReadBytes(row.cache, layer);
    meter.bytes += reads.synthetic * heads * slotBytes(shape, elementBytes);
    return Array.from({ length: heads }, (_, head) => {
      const list = r * heads + head;
      const count = reads.counts[list]!;
      const length = row.slots[offset + head]!;
      meter.slotsRead[offset + head] = count;
      meter.bytes +=
        packed === undefined ? count * slotBytes(shape, elementBytes) : Math.round((count * packed[head]!) / length);
      const listed = seen === undefined ? new Int32Array(0) : slots(list);
      if (wantRecall && seen !== undefined && row.evidence.length > 0) {
        const held = evidenceSlots(device, row, layer, head, offset + head);
        const found = held.reduce((sum, slot) => sum + seen[list * width + slot]!, 0);
        meter.recallSum += found / evidenceTokens(row.evidence);
        meter.recallHeads++;
      }
      return listed;
    });
  });
  return seen === undefined ? undefined : perRow;
};

const begin = (meter: RowMeter, row: Row): RowMeter => {
  if (!meter.selected) {
    meter.selected = true;
    meter.slotsRead = row.slots.slice();
  }
  return meter;
};
