import { WinnowError } from '../../core/errors.js';
import type { Declaration, LayerShape, StateField, StateView, Tensor } from '../../methods/contract.js';
import type { CacheId } from '../../native/addon-types.js';
import { type Device, type DeviceTensor, device as deviceOf } from './device.js';

/**
 * Declared state of one group of rows: allocated at its full size once, one tensor per field and layer with rows on axis 0.
 * Page fields are rebuilt from the cache when their members change; slot fields are compacted with their slots.
 */
export interface GroupState {
  view(layer: number): StateView;
  /** After slots were appended or dropped: page fields from the first changed page on. */
  refresh(layer: number, caches: readonly CacheId[], firstChangedSlot: readonly number[]): void;
  /** Bytes of one row by the declaration, given its slots per layer and head. */
  bytes(lens: readonly Int32Array[]): number;
  /** After `keep`: slot fields of one row follow their slots. lists[head] are the kept slots. */
  compact(row: number, layer: number, lists: readonly Int32Array[]): void;
  /** Values of one row's sequence fields within its slots, for hashes. */
  snapshot(row: number, lens: readonly Int32Array[]): Float64Array;
  /** Takes over one row of another state of the same declaration. */
  copyRow(row: number, from: GroupState, fromRow: number): void;
  /** The tensors of a field, one per layer. */
  tensors(name: string): readonly DeviceTensor[];
  readonly hasPages: boolean;
  /** Nothing was declared: no bytes, nothing to hash. */
  readonly isEmpty: boolean;
  /** Frees everything. */
  dispose(): void;
}

const itemBytes = { f32: 4, bf16: 2, i32: 4, u8: 1 } as const;

const headsOf = (scope: string, shape: LayerShape): number =>
  scope === 'kvHead' ? shape.numKvHeads : scope === 'queryHead' ? shape.numQueryHeads : 1;

export const createState = (
  device: Device,
  declaration: Declaration,
  shapes: readonly LayerShape[],
  rows: number,
  slotCapacity: number,
): GroupState => {
  const { addon } = device;
  const fields = Object.entries(declaration.state);
  const tensors = new Map<string, DeviceTensor[]>();

  for (const [name, field] of fields) {
    if (field.per === 'pool') {
      throw new WinnowError(
        'ERR_UNSUPPORTED',
        `state.${name}`,
        'a slot, page or head field',
        'pool',
        'Pool rows come with the methods that need them.',
      );
    }
    tensors.set(
      name,
      shapes.map((shape) => device.tensor(field.dtype, [rows, ...fieldShape(field, shape, slotCapacity)])),
    );
  }

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

  return {
    isEmpty: fields.length === 0,
    hasPages: fields.some(([, field]) => field.per === 'page'),
    view: (layer) => ({
      read: (name) => find(name, layer),
      write(name: string, value: Tensor) {
        const target = find(name, layer);
        addon.copyRows(deviceOf(value).id, 0, target.id, 0, rows);
      },
    }),
    refresh(layer, caches, firstChangedSlot) {
      if (shapes[layer]!.numKvHeads === 0) return;
      for (const [name, field] of fields) {
        if (field.per !== 'page') continue;
        const target = find(name, layer);
        caches.forEach((cache, row) => {
          const out = device.slice(target, row, 1);
          addon.blockSummary(
            Int32Array.of(cache),
            layer,
            field.pageSize,
            Math.floor(firstChangedSlot[row]! / field.pageSize),
            out.id,
          );
          device.free(out);
        });
      }
    },
    bytes(lens) {
      let total = 0;
      for (const [, field] of fields) {
        shapes.forEach((shape, layer) => {
          const item = itemBytes[field.dtype];
          const layerLens = lens[layer]!;
          if (field.per === 'page') {
            for (const length of layerLens) total += Math.ceil(length / field.pageSize) * field.width * item;
          } else if (field.per === 'slot') {
            const perHead = headsOf(field.scope, shape) / layerLens.length;
            for (const length of layerLens) total += length * perHead * field.width * item;
          } else if (field.per !== 'pool' && field.life === 'sequence') {
            total += fieldShape(field, shape, 0).reduce((a, b) => a * b, item);
          }
        });
      }
      return total;
    },
    compact(row, layer, lists) {
      for (const [name, field] of fields) {
        if (field.per !== 'slot') continue;
        const target = find(name, layer);
        const values = addon.download(target.id).slice();
        const [, heads = 1, capacity = 0, width = 1] = target.shape;
        const base = row * heads * capacity * width;
        for (let head = 0; head < heads; head++) {
          const list = lists[Math.floor((head * lists.length) / heads)]!;
          const start = base + head * capacity * width;
          list.forEach((slot, at) => {
            for (let i = 0; i < width; i++) values[start + at * width + i] = values[start + slot * width + i]!;
          });
          values.fill(0, start + list.length * width, start + capacity * width);
        }
        addon.upload(target.id, values as Float32Array);
      }
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
          addon.copyRows(source[layer]!.id, fromRow, t.id, row, 1);
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

/** Shape without the rows axis. */
const fieldShape = (field: StateField, shape: LayerShape, slotCapacity: number): number[] => {
  switch (field.per) {
    case 'page':
      return [shape.numKvHeads, Math.ceil(slotCapacity / field.pageSize), 2, shape.headDim];
    case 'slot':
      return [headsOf(field.scope, shape), slotCapacity, field.width];
    case 'pool':
      return [];
    default:
      return [headsOf(field.per, shape), ...field.shape];
  }
};
