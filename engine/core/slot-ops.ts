import { WinnowError } from '../../core/errors.js';
import type { Clusters, GqaReduce, LayerShape, Ragged, SlotOps, SlotsView, Tensor } from '../../methods/contract.js';
import { type DeviceSlots, type DeviceTensor, device as deviceOf } from './device.js';
import { type CacheRead, gqaCode, type OpsContext } from './ops.js';

const slotsOf = (slots: SlotsView): DeviceSlots => slots as unknown as DeviceSlots;
const whatCode = { keys: 0, values: 1 } as const;

/** Primitives on parts of keys and on groups of slots. Each bills what it reads of the cache or of a plane, row by row. */
export const createSlotOps = ({ device, shapes, elementBytes, bill }: OpsContext): SlotOps => {
  const { addon } = device;
  /** `bytes` of one head, given its length. */
  const billHeads = (
    rows: number,
    heads: number,
    lens: Int32Array,
    bytes: (length: number) => number,
    read?: CacheRead,
  ): void => {
    const perRow = Array.from({ length: rows }, (_, row) =>
      lens.subarray(row * heads, (row + 1) * heads).reduce((sum, length) => sum + bytes(length), 0),
    );
    bill(perRow, read);
  };
  const channelBytes = (slots: SlotsView, what: 'keys' | 'values'): number => {
    const { headDim, headDimV } = shapes[slots.layer]!;
    return (what === 'keys' ? headDim : headDimV) * elementBytes;
  };

  /** One physical cache stands for all rows while rows are equal. */
  const cachesFor = (slots: SlotsView, rows: number): Int32Array =>
    slots.rows === rows ? slotsOf(slots).caches : new Int32Array(rows).fill(slotsOf(slots).caches[0]!);

  return {
    channelScores(queries: Tensor, slots: SlotsView, channels: Ragged, gqa: GqaReduce) {
      const shape = shapes[slots.layer]!;
      const listsPerHead = channels.scope === 'queryHead' ? shape.numQueryHeads / shape.numKvHeads : 1;
      const listed = Math.min(channels.maxLen, shape.headDim) * listsPerHead * elementBytes;
      billHeads(slots.rows, slots.numKvHeads, slots.lens, (length) => length * listed, {
        layer: slots.layer,
        what: 'keys',
        share: Math.min(1, listed / (shape.headDim * elementBytes)),
      });
      const [values, lens] = [deviceOf(channels.values), deviceOf(channels.lens)];
      const id = addon.channelScores(
        deviceOf(queries).id,
        slotsOf(slots).caches,
        slots.layer,
        device.repeat(values, rowsFor(values, slots.rows)).id,
        device.repeat(lens, rowsFor(lens, slots.rows)).id,
        gqaCode[gqa],
      );
      return device.wrap(id, 'f32');
    },
    projectKeys(slots, basis, last) {
      billHeads(
        slots.rows,
        slots.numKvHeads,
        slots.lens,
        (length) => (last === 0 ? length : last) * channelBytes(slots, 'keys'),
        last === 0 ? { layer: slots.layer, what: 'keys' } : undefined,
      );
      return device.wrap(addon.projectSlots(slotsOf(slots).caches, slots.layer, 0, deviceOf(basis).id, last), 'f32');
    },
    projectQueries: (queries, basis, shape: LayerShape) =>
      device.wrap(addon.projectQueries(deviceOf(queries).id, deviceOf(basis).id, shape.numQueryHeads), 'f32'),
    planeScores(queries, plane, lens, shape, gqa) {
      const entries = deviceOf(plane);
      const [rows = 1, heads = 1, , width = 1] = entries.shape;
      billHeads(rows, heads, lens, (length) => length * width * 4);
      const id = addon.planeScores(deviceOf(queries).id, entries.id, lens, shape.numQueryHeads, gqaCode[gqa]);
      return device.wrap(id, 'f32');
    },
    pairwiseCosine(slots, what, left, right) {
      const listed = (left.maxLen + right.maxLen) * channelBytes(slots, what);
      billHeads(slots.rows, slots.numKvHeads, slots.lens, () => listed, {
        layer: slots.layer,
        what,
      });
      const id = addon.pairwiseCosine(
        cachesFor(slots, left.values.shape[0]!),
        slots.layer,
        whatCode[what],
        ...listsPerHead(left),
        ...listsPerHead(right),
      );
      return device.wrap(id, 'f32');
    },
    groupMeans(slots, what, assignment, groups) {
      billHeads(slots.rows, slots.numKvHeads, slots.lens, (length) => length * channelBytes(slots, what), {
        layer: slots.layer,
        what,
      });
      const id = addon.groupMeans(
        cachesFor(slots, assignment.shape[0]!),
        slots.layer,
        whatCode[what],
        deviceOf(assignment).id,
        groups,
      );
      return device.wrap(id, 'f32');
    },
    slotValues(field, slots) {
      const own = deviceOf(field);
      billHeads(slots.rows, slots.numKvHeads, slots.lens, (length) => length * 4);
      return device.wrap(addon.readEntries(own.id, slots.lens), own.dtype);
    },
    kMeans(slots, what, how): Clusters {
      billHeads(slots.rows, slots.numKvHeads, slots.lens, (length) => length * channelBytes(slots, what), {
        layer: slots.layer,
        what,
      });
      const [centroids, assignment, sizes] = addon.kMeans(
        slotsOf(slots).caches,
        slots.layer,
        whatCode[what],
        how.clusters,
        how.iterations,
        how.seed === undefined ? 0 : 1,
        how.seed ?? 0,
      );
      return {
        centroids: device.wrap(centroids, 'f32'),
        assignment: device.wrap(assignment, 'i32'),
        sizes: device.wrap(sizes, 'i32'),
      };
    },
  };
};

const rowsFor = (t: DeviceTensor, rows: number): number => (t.shape[0] === 1 ? rows : 1);

/** Lists per KV head as the addon takes them. */
const listsPerHead = (lists: Ragged): [values: number, lens: number] => {
  if (lists.scope !== 'kvHead')
    throw new WinnowError('ERR_CONTRACT', 'ops.pairwiseCosine', 'lists per KV head', lists.scope);
  return [deviceOf(lists.values).id, deviceOf(lists.lens).id];
};
