import { WinnowError } from '../../core/errors.js';
import type { Declaration, LayerShape, StateView, Tensor } from '../../methods/contract.js';
import type { CacheId } from '../../native/addon-types.js';
import { type Device, type DeviceTensor, device as deviceOf } from './device.js';
import { fieldBytes, fieldShape } from './state-fields.js';
import {
  compactSlots,
  type HostValues,
  insertSlots,
  mergeSlotState,
  type RowValues,
  type SlotField,
  type SlotMerge,
} from './state-slots.js';

export type { SlotMerge } from './state-slots.js';

/**
 * Declared state of one group of rows: one tensor per field and layer with rows on axis 0. Slot and page fields are allocated at their
 * full size once, pools as long as they are. Page fields are rebuilt from the cache when their members change; slot fields follow their slots.
 */
export interface GroupState {
  /** `lens` [rows * numKvHeads]: slots now, for what is appended to slot fields. */
  view(layer: number, lens: () => Int32Array): StateView;
  /** After slots were appended or dropped: page fields from the first changed page on. */
  refresh(layer: number, caches: readonly CacheId[], firstChangedSlot: readonly number[]): void;
  /** Bytes of one row by the declaration, given its slots per layer and head. */
  bytes(lens: readonly Int32Array[]): number;
  /** After `keep`: slot fields of one row follow their slots. lists[head] are the kept slots. */
  compact(row: number, layer: number, lists: readonly Int32Array[]): void;
  /** After `append` of `grown` slots by head, `lens` with them, before the last `before`: new ones are 0. `position` is the next token's. */
  insert(row: number, layer: number, grown: Int32Array, lens: Int32Array, before: number, position: number): void;
  /** Before `merge`: slot fields fold by their own rule. */
  merge(row: number, layer: number, merges: readonly SlotMerge[]): void;
  /** Values of one row's sequence fields within its slots, for hashes. */
  snapshot(row: number, lens: readonly Int32Array[]): Float64Array;
  /** Takes over one row of another state of the same declaration. */
  copyRow(row: number, from: GroupState, fromRow: number): void;
  /** The tensors of a field, one per layer. */
  tensors(name: string): readonly DeviceTensor[];
  readonly hasPages: boolean;
  readonly hasSlots: boolean;
  /** Nothing was declared: no bytes, nothing to hash. */
  readonly isEmpty: boolean;
  /** Frees everything. */
  dispose(): void;
}

export const createState = (
  device: Device,
  declaration: Declaration,
  shapes: readonly LayerShape[],
  rows: number,
  slotCapacity: number,
): GroupState => {
  const { addon } = device;
  const fields = Object.entries(declaration.state);
  const slotFields = fields.filter((entry): entry is [string, SlotField] => entry[1].per === 'slot');
  const tensors = new Map<string, DeviceTensor[]>(
    fields.map(([name, field]) => [
      name,
      shapes.map((shape) => device.lasting(field.dtype, [rows, ...fieldShape(field, shape, slotCapacity)])),
    ]),
  );
  const find = (name: string, layer: number): DeviceTensor => {
    const list = tensors.get(name);
    if (list === undefined) {
      throw new WinnowError(
        'ERR_CONTRACT',
        `state.${name}`,
        `a declared field (${[...tensors.keys()].join(', ') || 'none'})`,
        name,
        'Declare it in declare().state.',
      );
    }
    return list[layer]!;
  };

  /** A longer tensor with the same entries on axis 2. */
  const lengthen = (name: string, layer: number, length: number): DeviceTensor => {
    const old = find(name, layer);
    const [, heads = 1, had = 0] = old.shape;
    const wider = device.lasting(old.dtype, [rows, heads, length, ...old.shape.slice(3)]);
    if (had > 0) writeEntries(device, old, wider, had);
    device.free(old);
    tensors.get(name)![layer] = wider;
    return wider;
  };

  const poolRowsOf = (name: string, layer: number, wanted: number): void => {
    const field = declaration.state[name];
    if (field?.per !== 'pool') return;
    const most = field.maxRows(slotCapacity);
    if (wanted <= most) return;
    throw new WinnowError(
      'ERR_CONTRACT',
      `state.${name}`,
      `at most ${most} rows in layer ${layer}, as maxRows says`,
      wanted,
    );
  };

  /** One row stands for all while rows are equal; entries of width 1 may leave the axis out. */
  const asRows = (value: Tensor): DeviceTensor => {
    const source = device.repeat(deviceOf(value), value.shape[0] === 1 ? rows : 1);
    return source.shape.length === 3 ? device.reshape(source, [...source.shape, 1]) : source;
  };

  const write = (name: string, layer: number, value: Tensor): void => {
    const field = declaration.state[name];
    const source = asRows(value);
    let target = find(name, layer);
    if (field?.per !== 'pool' && field?.per !== 'slot') {
      addon.copyRows(device.reshape(source, target.shape).id, 0, target.id, 0, rows);
      return;
    }
    const length = source.shape[2]!;
    if (field.per === 'pool') {
      poolRowsOf(name, layer, length);
      device.free(target);
      target = device.lasting(field.dtype, [rows, target.shape[1]!, length, field.width]);
      tensors.get(name)![layer] = target;
    }
    if (length > 0) writeEntries(device, source, target, length);
  };

  const append = (name: string, layer: number, value: Tensor, lens: Int32Array): void => {
    const field = declaration.state[name];
    const source = asRows(value);
    const target = find(name, layer);
    if (field?.per === 'pool') {
      const had = target.shape[2]!;
      const added = source.shape[2]!;
      poolRowsOf(name, layer, had + added);
      writeEntries(device, source, lengthen(name, layer, had + added), had + added);
      return;
    }
    if (field?.per !== 'slot') {
      throw new WinnowError('ERR_CONTRACT', `state.${name}.append`, 'a field per slot or a pool', field?.per ?? 'none');
    }
    const heads = target.shape[1]!;
    const kvHeads = lens.length / rows;
    const ends = Int32Array.from(
      { length: rows * heads },
      (_, i) => lens[Math.floor(i / heads) * kvHeads + Math.floor(((i % heads) * kvHeads) / heads)]!,
    );
    addon.writeEntries(source.id, target.id, ends);
  };

  /** Changes the host values of one row of every slot field of a layer. */
  const onSlots = (row: number, layer: number, change: (values: RowValues, field: SlotField) => void): void => {
    for (const [name, field] of slotFields) {
      const target = find(name, layer);
      const [, heads = 1, capacity = 0, width = 1] = target.shape;
      const all = addon.download(target.id).slice() as HostValues;
      const size = heads * capacity * width;
      change({ values: all.subarray(row * size, (row + 1) * size), heads, capacity, width }, field);
      addon.upload(target.id, all);
    }
  };

  return {
    isEmpty: fields.length === 0,
    hasPages: fields.some(([, field]) => field.per === 'page'),
    hasSlots: slotFields.length > 0,
    view: (layer, lens) => ({
      read: (name) => find(name, layer),
      write: (name, value) => write(name, layer, value),
      append: (name, value) => append(name, layer, value, lens()),
    }),
    refresh(layer, caches, firstChangedSlot) {
      if (shapes[layer]!.numKvHeads === 0) return;
      for (const [name, field] of fields) {
        if (field.per !== 'page') continue;
        const target = find(name, layer);
        const pageOf = (row: number): number => Math.floor(firstChangedSlot[row]! / field.pageSize);
        // Neighbouring rows that change from the same page on go together: in steps of a batch mostly all of them.
        for (let row = 0, end = 0; row < caches.length; row = end) {
          while (end < caches.length && pageOf(end) === pageOf(row)) end++;
          const out = end - row === rows ? target : device.slice(target, row, end - row);
          addon.blockSummary(Int32Array.from(caches.slice(row, end)), layer, field.pageSize, pageOf(row), out.id);
          if (out !== target) device.free(out);
        }
      }
    },
    bytes(lens) {
      let total = 0;
      for (const [name, field] of fields) {
        shapes.forEach((shape, layer) => {
          total += fieldBytes(field, shape, lens[layer]!, field.per === 'pool' ? find(name, layer).shape[2]! : 0);
        });
      }
      return total;
    },
    compact(row, layer, lists) {
      onSlots(row, layer, (values) => compactSlots(values, lists));
    },
    insert(row, layer, grown, lens, before, position) {
      // Room for these slots and for every token still to come.
      const needed = Math.max(...lens) + Math.max(0, slotCapacity - position);
      for (const [name, field] of fields) {
        if (field.per !== 'slot' && field.per !== 'page') continue;
        const length = field.per === 'slot' ? needed : Math.ceil(needed / field.pageSize);
        if (find(name, layer).shape[2]! < length) lengthen(name, layer, length);
      }
      onSlots(row, layer, (values) => insertSlots(values, grown, lens, before));
    },
    merge(row, layer, merges) {
      onSlots(row, layer, (values, field) => mergeSlotState(values, field.onMerge, merges));
    },
    snapshot(row, lens) {
      const all: number[] = [];
      for (const [name, field] of fields) {
        if (field.life !== 'sequence') continue;
        tensors.get(name)!.forEach((t, layer) => {
          const values = addon.download(t.id);
          const [, heads = 1, capacity = 1] = t.shape;
          const perEntry = t.shape.slice(3).reduce((a, b) => a * b, 1);
          const base = row * heads * capacity * perEntry;
          for (let head = 0; head < heads; head++) {
            const length = lens[layer]![Math.floor((head * lens[layer]!.length) / heads)] ?? 0;
            const used =
              field.per === 'page' ? Math.ceil(length / field.pageSize) : field.per === 'slot' ? length : capacity;
            const start = base + head * capacity * perEntry;
            for (let i = 0; i < used * perEntry; i++) all.push(values[start + i]!);
          }
        });
      }
      return Float64Array.from(all);
    },
    copyRow(row, from, fromRow) {
      for (const [name, list] of tensors) {
        const source = from.tensors(name);
        list.forEach((t, layer) => {
          const { per } = declaration.state[name]!;
          if (per !== 'slot' && per !== 'page' && per !== 'pool') {
            addon.copyRows(source[layer]!.id, fromRow, t.id, row, 1);
            return;
          }
          const length = source[layer]!.shape[2]!;
          const target = t.shape[2]! < length ? lengthen(name, layer, length) : t;
          if (length === 0) return;
          device.scope(() =>
            writeEntries(device, device.slice(source[layer]!, fromRow, 1), device.slice(target, row, 1), length),
          );
        });
      }
    },
    tensors: (name) => tensors.get(name) ?? [],
    dispose() {
      for (const list of tensors.values()) for (const t of list) device.free(t);
      tensors.clear();
    },
  };
};

/** All rows of `source` [rows, heads, n, width], so that its last entry is entry `end` - 1. */
const writeEntries = (device: Device, source: DeviceTensor, target: DeviceTensor, end: number): void => {
  const lists = target.shape[0]! * target.shape[1]!;
  const flat = (t: DeviceTensor): DeviceTensor =>
    t.shape.length === 4 ? t : device.reshape(t, [...t.shape.slice(0, 3), t.shape.slice(3).reduce((a, b) => a * b, 1)]);
  device.addon.writeEntries(flat(source).id, flat(target).id, new Int32Array(lists).fill(end));
};
