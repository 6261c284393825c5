import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compactSlots, insertSlots, mergeSlotState, type RowValues } from './state-slots.js';

/** Two query heads share each of two KV heads; slot s of head h holds 10 h + s + 1. */
const fresh = (): RowValues & { readonly values: Float32Array } => ({
  values: Float32Array.from({ length: 4 * 6 }, (_, i) => 10 * Math.floor(i / 6) + (i % 6) + 1),
  heads: 4,
  capacity: 6,
  width: 1,
});
const headOf = (row: { readonly values: Float32Array }, head: number): number[] => [
  ...row.values.subarray(head * 6, head * 6 + 6),
];

test('kept slots move to the front, by the list of their KV head; the rest is 0', () => {
  const row = fresh();
  compactSlots(row, [Int32Array.of(0, 3), Int32Array.of(2, 4, 5)]);
  assert.deepEqual(headOf(row, 1), [11, 14, 0, 0, 0, 0]);
  assert.deepEqual(headOf(row, 2), [23, 25, 26, 0, 0, 0]);
});

test('appended slots are 0 and stand before the last ones', () => {
  const row = fresh();
  // Four slots, two more in the first head, none in the second; the last one stays last.
  insertSlots(row, Int32Array.of(2, 0), Int32Array.of(6, 4), 1);
  assert.deepEqual(headOf(row, 0), [1, 2, 3, 0, 0, 4]);
  assert.deepEqual(headOf(row, 3), [31, 32, 33, 34, 35, 36]);
});

test('merged state follows its rule; what is dropped gives nothing', () => {
  const merges = [0, 1].map(() => ({
    from: Int32Array.of(1, 2, 3),
    into: Int32Array.of(0, 0, -1),
    weight: Float32Array.of(1, 3, 1),
    counts: Int32Array.of(2, 1, 1, 1, 1, 1),
  }));
  const merged = (rule: 'sum' | 'max' | 'mean' | 'derive'): number[] => {
    const row = fresh();
    mergeSlotState(row, rule, merges);
    return headOf(row, 0);
  };
  assert.deepEqual(merged('sum'), [1 + 2 + 3, 2, 3, 4, 5, 6]);
  assert.deepEqual(merged('max'), [3, 2, 3, 4, 5, 6]);
  // The target weighs its count of 2.
  assert.deepEqual(merged('mean'), [Math.fround((2 * 1 + 1 * 2 + 3 * 3) / 6), 2, 3, 4, 5, 6]);
  assert.deepEqual(merged('derive'), [1, 2, 3, 4, 5, 6]);
});
