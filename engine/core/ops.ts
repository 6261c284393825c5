import { WinnowError } from '../../core/errors.js';
import type { GqaReduce, LayerShape, Ops, Ragged, RowFacts, Scope, SlotsView, Tensor } from '../../methods/contract.js';
import { type Device, type DeviceSlots, type DeviceTensor, device as deviceOf } from './device.js';
import { createListOps } from './list-ops.js';
import { createSlotOps } from './slot-ops.js';

/** How the addon names a reduction over query heads. */
export const gqaCode = { none: 0, mean: 1, sum: 2, max: 3, layer: 4 } as const satisfies Record<GqaReduce, number>;
const reduceCode = { mean: 0, sum: 1, max: 2, var: 3 } as const;
const slotsOf = (slots: SlotsView): DeviceSlots => slots as unknown as DeviceSlots;

/** Bytes of K, V and derived state that ops read on behalf of the caller: one number per row, or one for each of all rows. */
export type Bill = (bytesByRow: readonly number[], read?: CacheRead) => void;

/** What an op read of every slot of a layer: a plane, or a share of its channels. */
export interface CacheRead {
  readonly layer: number;
  readonly what: 'keys' | 'values';
  readonly share?: number;
}

export interface OpsContext {
  readonly device: Device;
  readonly shapes: readonly LayerShape[];
  readonly elementBytes: number;
  readonly bill: Bill;
  /** Host-made lists are allowed at prefill boundaries only. */
  readonly allowHostLists: boolean;
}

/** The shared primitives over the native backend. Every tensor returned lives until the engine closes the hook's scope. */
export const createOps = (context: OpsContext): Ops => {
  const { device, shapes, elementBytes, bill, allowHostLists } = context;
  const { addon } = device;
  const shapeOf = (slots: SlotsView): LayerShape => shapes[slots.layer]!;
  /** Every row pays for its own slots; while one cache stands for all rows, each pays as if alone. */
  const billSlots = (slots: SlotsView, what: 'keys' | 'values'): void => {
    const { headDim, headDimV } = shapeOf(slots);
    const bytesPerSlot = (what === 'keys' ? headDim : headDimV) * elementBytes;
    const heads = slots.numKvHeads;
    bill(
      Array.from({ length: slots.rows }, (_, row) =>
        slots.lens.subarray(row * heads, (row + 1) * heads).reduce((sum, length) => sum + length * bytesPerSlot, 0),
      ),
      { layer: slots.layer, what },
    );
  };
  const ragged = (scope: Scope, values: DeviceTensor, lens: DeviceTensor): Ragged => ({
    scope,
    values,
    lens,
    maxLen: values.shape[2] ?? 0,
  });

  return {
    ...createSlotOps(context),
    ...createListOps(context),
    windowScores(queries, slots, how) {
      const shape = shapeOf(slots);
      billSlots(slots, 'keys');
      const pool = how.pool === undefined ? 0 : how.pool.kind === 'avg' ? 1 : 2;
      const id = addon.windowScores(
        deviceOf(queries).id,
        slotsOf(slots).caches,
        slots.layer,
        shape.softmaxScale,
        shape.softCap ?? 0,
        shape.slidingWindow ?? 0,
        reduceCode[how.reduce],
        pool,
        how.pool?.size ?? 1,
        gqaCode[how.gqa],
      );
      return device.wrap(id, 'f32');
    },
    slotNorms(slots, what) {
      billSlots(slots, what);
      return device.wrap(addon.slotNorms(slotsOf(slots).caches, slots.layer, what === 'keys' ? 0 : 1), 'f32');
    },
    randomScores(slots, rows: RowFacts, seed) {
      const sampleSeed = rows.sequences[0]?.sampleSeed ?? 0;
      const mixed = mixSeeds(seed, sampleSeed);
      return device.wrap(addon.randomScores(slots.rows, slots.numKvHeads, slots.maxLen, mixed, slots.layer), 'f32');
    },
    blockSummary(slots, pageSize) {
      billSlots(slots, 'keys');
      return device.wrap(addon.blockSummary(slotsOf(slots).caches, slots.layer, pageSize, 0, 0), 'f32');
    },
    blockScores(queries, summary, shape, gqa) {
      const q = deviceOf(queries);
      const s = deviceOf(summary);
      const [rows = 1, queryLen = 1] = q.shape;
      bill(s.usedBytes ?? [s.shape.slice(1).reduce((a, b) => a * b, 4)]);
      if (queryLen === 1) {
        const flat = device.reshape(q, [rows, q.shape[2]!]);
        return device.wrap(addon.blockScores(flat.id, s.id, shape.numQueryHeads, gqaCode[gqa]), 'f32');
      }
      // A T-step shares one list: the bound is the largest over its queries. Fold T into the head axis of one row at a time.
      const pages = s.shape[2]!;
      let out: DeviceTensor | undefined;
      for (let row = 0; row < rows; row++) {
        const perQuery = device.reshape(device.slice(q, row, 1), [queryLen, q.shape[2]!]);
        const summaries = device.repeat(device.slice(s, row, 1), queryLen);
        const scores = device.wrap(
          addon.blockScores(perQuery.id, summaries.id, shape.numQueryHeads, gqaCode[gqa]),
          'f32',
        );
        const heads = scores.shape[1]!;
        const folded = device.wrap(
          addon.reduceHeads(device.reshape(scores, [1, queryLen, heads * pages]).id, 2),
          'f32',
        );
        out ??= device.tensor('f32', [rows, heads, pages]);
        addon.copyRows(device.reshape(folded, [1, heads, pages]).id, 0, out.id, row, 1);
      }
      return out!;
    },
    topK(scores, counts, how) {
      let s = deviceOf(scores);
      const [scoreRows = 1, heads = 1] = s.shape;
      const rows =
        typeof (counts as Tensor).dtype === 'string'
          ? (counts as Tensor).shape[0]!
          : (counts as readonly number[]).length;
      if (scoreRows !== rows) {
        if (scoreRows !== 1) throw new WinnowError('ERR_SHAPE', 'ops.topK', `scores of 1 or ${rows} rows`, scoreRows);
        s = device.repeat(s, rows);
      }
      const flatten = how.across === 'heads' ? 1 : 0;
      let budgets: number | Int32Array;
      if (typeof (counts as Tensor).dtype === 'string') budgets = deviceOf(counts as Tensor).id;
      else {
        const perRow = counts as readonly number[];
        budgets =
          flatten === 1
            ? Int32Array.from(perRow)
            : Int32Array.from({ length: rows * heads }, (_, i) => perRow[Math.floor(i / heads)]!);
      }
      const [indices, lens] = addon.topK(s.id, budgets, how.sinks, how.recents, flatten);
      return ragged(how.scope, device.wrap(indices, 'i32'), device.wrap(lens, 'i32'));
    },
    sinkRecent(slots, counts, sinks) {
      const heads = slots.numKvHeads;
      const lengths = counts.flatMap((_, row) =>
        Array.from({ length: heads }, (_, head) => slots.lens[(slots.rows === 1 ? 0 : row) * heads + head]!),
      );
      const lens = Int32Array.from(lengths, (length, i) => Math.min(counts[Math.floor(i / heads)]!, length));
      const maxLen = Math.max(1, ...lens);
      const values = new Int32Array(lens.length * maxLen).fill(-1);
      lens.forEach((kept, list) => {
        const first = Math.min(sinks, kept);
        const skipped = lengths[list]! - kept;
        for (let i = 0; i < kept; i++) values[list * maxLen + i] = i < first ? i : i + skipped;
      });
      return uploaded(device, 'kvHead', { values, lens, rows: counts.length, maxLen });
    },
    lists(values, scope) {
      if (!allowHostLists)
        throw new WinnowError(
          'ERR_CONTRACT',
          'ops.lists',
          'a call at a prefill boundary',
          'a call inside a step',
          'Build step lists with topK.',
        );
      return upload(device, values, scope);
    },
    scale: (x, factor) => device.wrap(addon.axpby(deviceOf(x).id, factor, 0, 0), 'f32'),
    maximum: (x, y) => maximum(device, deviceOf(x), deviceOf(y)),
    sliceSlots: (scores, start, count) => sliceSlots(device, deviceOf(scores), start, count),
    add: (x, y) => device.wrap(addon.axpby(deviceOf(x).id, 1, deviceOf(y).id, 1), 'f32'),
    reduceHeads: (scores, how) =>
      device.wrap(addon.reduceHeads(deviceOf(scores).id, { mean: 0, sum: 1, max: 2 }[how] as 0 | 1 | 2), 'f32'),
  };
};

const maximum = (device: Device, x: DeviceTensor, y: DeviceTensor): DeviceTensor => {
  const [rows = 0, lists = 0, length = 0] = x.shape;
  if (x.shape.join() !== y.shape.join())
    throw new WinnowError('ERR_SHAPE', 'ops.maximum', `[${x.shape.join(', ')}]`, y.shape);
  const pairs = device.tensor('f32', [rows * lists * 2, length]);
  for (let list = 0; list < rows * lists; list++) {
    device.addon.copyRows(device.reshape(x, [rows * lists, length]).id, list, pairs.id, 2 * list, 1);
    device.addon.copyRows(device.reshape(y, [rows * lists, length]).id, list, pairs.id, 2 * list + 1, 1);
  }
  const larger = device.addon.reduceHeads(device.reshape(pairs, [rows * lists, 2, length]).id, 2);
  return device.reshape(device.wrap(larger, 'f32'), [rows, lists, length]);
};

const sliceSlots = (device: Device, scores: DeviceTensor, start: number, count: number): DeviceTensor => {
  const [rows = 0, lists = 0, length = 0] = scores.shape;
  if (!(start >= 0 && count >= 0 && start + count <= length))
    throw new WinnowError('ERR_SHAPE', 'ops.sliceSlots', `a range inside ${length} entries`, [start, start + count]);
  const flat = device.reshape(scores, [rows * lists * length, 1]);
  const out = device.tensor('f32', [rows * lists * count, 1]);
  for (let list = 0; list < rows * lists; list++)
    device.addon.copyRows(flat.id, list * length + start, out.id, list * count, count);
  return device.reshape(out, [rows, lists, count]);
};

const upload = (device: Device, lists: readonly (readonly (readonly number[])[])[], scope: Scope): Ragged => {
  const rows = lists.length;
  const heads = lists[0]?.length ?? 0;
  const maxLen = Math.max(1, ...lists.flat().map((list) => list.length));
  const values = new Int32Array(rows * heads * maxLen).fill(-1);
  const lens = new Int32Array(rows * heads);
  lists.forEach((row, r) => {
    row.forEach((list, h) => {
      values.set(list, (r * heads + h) * maxLen);
      lens[r * heads + h] = list.length;
    });
  });
  return uploaded(device, scope, { values, lens, rows, maxLen });
};

const uploaded = (
  device: Device,
  scope: Scope,
  { values, lens, rows, maxLen }: { values: Int32Array; lens: Int32Array; rows: number; maxLen: number },
): Ragged => {
  const lists = lens.length / rows;
  return { scope, values: device.i32(values, [rows, lists, maxLen]), lens: device.i32(lens, [rows, lists]), maxLen };
};

/** Two 32-bit seeds into one, so that neighbouring samples and seeds share nothing. */
const mixSeeds = (a: number, b: number): number => {
  let h = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35);
  h ^= h >>> 16;
  h = Math.imul(h, 0x21f0aaad);
  h ^= h >>> 15;
  return h >>> 0;
};
