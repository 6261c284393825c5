/** Statistics of the attention that each key receives in the prefill, for the methods that declared them. */
import type { LayerShape, Need, Reduce } from '../../methods/contract.js';
import type { CacheId } from '../../native/addon-types.js';
import type { Device, DeviceTensor } from './device.js';

export type ColumnNeed = Extract<Need, { view: 'columnStats' }>;

export const columnReduceCode = { sum: 0, mean: 1, max: 2, var: 3, entropy: 4 } as const;
type ColumnReduce = keyof typeof columnReduceCode;

/** Reductions that say something of a query or of products before the softmax: no statistic of a column. */
export const reducedElsewhere: Readonly<Record<Exclude<Reduce, ColumnReduce>, string>> = {
  argmax: 'It names a slot for each query: take ops.argmax of window scores.',
  distance: 'It is a number of each query: take it from window scores and positions.',
  diagonal: 'It sums along distances, not along columns: take it from window scores.',
  raw: 'Products before the softmax are those of ops.channelScores with every channel.',
};

export interface ColumnStats {
  readonly isEmpty: boolean;
  /** After a layer's attention of a chunk: q act [T, Hq * d], lse f32 [T, Hq]. */
  push(cache: CacheId, layer: number, q: DeviceTensor, lse: DeviceTensor): void;
  /** f32 [1, heads of the scope, slots]. */
  read(need: ColumnNeed, layer: number): DeviceTensor;
  dispose(): void;
}

/** One state for each reduction and number of rows, whatever the scopes: heads are joined when they are read. `length`: tokens of the prompt. */
export const createColumnStats = (
  device: Device,
  shapes: readonly LayerShape[],
  needs: readonly ColumnNeed[],
  length: number,
): ColumnStats => {
  const { addon } = device;
  const keyOf = ({ reduce, rows }: ColumnNeed): string => `${reduce}:${rows}`;
  const states = new Map<string, { need: ColumnNeed; firstRow: number; layers: DeviceTensor[] }>();
  for (const need of needs) {
    if (states.has(keyOf(need))) continue;
    const planes = need.reduce === 'var' ? 4 : 2;
    states.set(keyOf(need), {
      need,
      firstRow: need.rows === 'all' ? 0 : Math.max(0, length - need.rows),
      layers: shapes.map((shape) => device.lasting('f32', [planes, Math.max(1, shape.numQueryHeads), length])),
    });
  }
  const codeOf = ({ reduce }: ColumnNeed) => columnReduceCode[reduce as ColumnReduce];
  return {
    isEmpty: states.size === 0,
    push(cache, layer, q, lse) {
      const shape = shapes[layer]!;
      for (const { need, firstRow, layers } of states.values())
        addon.columnStats(
          q.id,
          cache,
          layer,
          shape.softmaxScale,
          shape.softCap ?? 0,
          shape.slidingWindow ?? 0,
          lse.id,
          firstRow,
          codeOf(need),
          layers[layer]!.id,
        );
    },
    read(need, layer) {
      const { firstRow, layers } = states.get(keyOf(need))!;
      const shape = shapes[layer]!;
      const all = device.wrap(addon.finishColumnStats(layers[layer]!.id, codeOf(need), firstRow, length), 'f32');
      if (need.scope === 'queryHead') return all;
      // Heads are joined by their mean; the largest stays the largest.
      const how = need.reduce === 'max' ? 2 : 0;
      if (need.scope !== 'kvHead') return device.wrap(addon.reduceHeads(all.id, how), 'f32');
      const grouped = device.reshape(all, [shape.numKvHeads, shape.numQueryHeads / shape.numKvHeads, length]);
      return device.reshape(device.wrap(addon.reduceHeads(grouped.id, how), 'f32'), [1, shape.numKvHeads, length]);
    },
    dispose() {
      for (const { layers } of states.values()) for (const t of layers) device.free(t);
      states.clear();
    },
  };
};

export const columnNeeds = (needs: readonly Need[]): ColumnNeed[] =>
  needs.filter((need): need is ColumnNeed => 'view' in need && need.view === 'columnStats');
