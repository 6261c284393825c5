import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quest } from '../../methods/decode/quest.js';
import { budgetOf, layerShape, modelFacts, settingOf } from '../../methods/naive-views.js';
import { parseParams } from '../../methods/params.js';
import type { Addon, CacheId } from '../../native/addon-types.js';
import { createDevice } from './device.js';
import { createState } from './state.js';

/** The calls of a refresh: caches, first page, and the row at which the tensor that is written begins. */
const summariesOf = (firstChangedSlot: readonly number[]): [number[], number, number][] => {
  const calls: [number[], number, number][] = [];
  const startOf = new Map<number, number>();
  let last = 0;
  const addon = {
    tensor: () => ++last,
    keep: () => {},
    free: () => {},
    slice: (_: number, start: number) => {
      startOf.set(++last, start);
      return last;
    },
    blockSummary: (caches: Int32Array, _layer: number, _pageSize: number, fromPage: number, out: number) => {
      calls.push([[...caches], fromPage, startOf.get(out) ?? 0]);
      return out;
    },
  } as unknown as Addon;
  const shapes = [layerShape()];
  const { declare } = quest;
  const declaration = declare(settingOf(parseParams(quest, {}), budgetOf(64, 128)), modelFacts(shapes));
  const rows = firstChangedSlot.length;
  const state = createState(createDevice(addon, 'bf16'), declaration, shapes, rows, 256);
  state.refresh(
    0,
    Array.from({ length: rows }, (_, row) => (10 + row) as CacheId),
    firstChangedSlot,
  );
  return calls;
};

test('page fields of rows that change from the same page on are brought up to date in one call', () => {
  assert.deepEqual(summariesOf([40, 41, 47]), [[[10, 11, 12], 2, 0]]);
  assert.deepEqual(summariesOf([40, 41, 48, 7, 3]), [
    [[10, 11], 2, 0],
    [[12], 3, 2],
    [[13, 14], 0, 3],
  ]);
});
