/** How slot state follows its slots: plain loops over the host values of one field and one row, [heads, capacity, width]. */
import type { StateField } from '../../methods/contract.js';

export type SlotField = Extract<StateField, { per: 'slot' }>;
export type HostValues = Float32Array | Int32Array | Uint8Array;

/** Entries of a merge on one KV head; counts are those before it. */
export interface SlotMerge {
  readonly from: Int32Array;
  readonly into: Int32Array;
  readonly weight: Float32Array;
  readonly counts: Int32Array;
}

/** Values of one row, cut by head. `lists` are per KV head; a field of query heads or of the layer takes its head's or the first. */
export interface RowValues {
  readonly values: HostValues;
  readonly heads: number;
  readonly capacity: number;
  readonly width: number;
}

const perHead = (
  { values, heads, capacity, width }: RowValues,
  kvHeads: number,
  change: (own: HostValues, kvHead: number) => void,
): void => {
  for (let head = 0; head < heads; head++)
    change(
      values.subarray(head * capacity * width, (head + 1) * capacity * width),
      Math.floor((head * kvHeads) / heads),
    );
};

/** Keeps the listed slots of each head, in order. */
export const compactSlots = (row: RowValues, lists: readonly Int32Array[]): void =>
  perHead(row, lists.length, (own, kvHead) => {
    const list = lists[kvHead]!;
    list.forEach((slot, at) => {
      own.copyWithin(at * row.width, slot * row.width, (slot + 1) * row.width);
    });
    own.fill(0, list.length * row.width);
  });

/** Makes room for `grown` slots of value 0 before the last `before` of `lens` slots. */
export const insertSlots = (row: RowValues, grown: Int32Array, lens: Int32Array, before: number): void =>
  perHead(row, lens.length, (own, kvHead) => {
    const count = grown[kvHead]!;
    const at = lens[kvHead]! - count - before;
    own.copyWithin((at + count) * row.width, at * row.width, (at + before) * row.width);
    own.fill(0, at * row.width, (at + count) * row.width);
  });

/** Folds sources into targets by the field's rule. `derive`: the method writes it anew. */
export const mergeSlotState = (row: RowValues, rule: SlotField['onMerge'], merges: readonly SlotMerge[]): void => {
  if (rule === 'derive') return;
  const { width } = row;
  perHead(row, merges.length, (own, kvHead) => {
    const { from, into, weight, counts } = merges[kvHead]!;
    const before = own.slice();
    const weights = new Map<number, number>();
    from.forEach((source, i) => {
      const target = into[i]!;
      if (target < 0 || weight[i] === 0) return;
      if (rule === 'mean' && !weights.has(target)) {
        weights.set(target, counts[target]!);
        for (let c = 0; c < width; c++) own[target * width + c]! *= counts[target]!;
      }
      if (rule === 'mean') weights.set(target, weights.get(target)! + weight[i]!);
      for (let c = 0; c < width; c++) {
        const value = before[source * width + c]!;
        const at = target * width + c;
        if (rule === 'max') own[at] = Math.max(own[at]!, value);
        else own[at]! += rule === 'mean' ? weight[i]! * value : value;
      }
    });
    for (const [target, total] of weights) for (let c = 0; c < width; c++) own[target * width + c]! /= total;
  });
};
