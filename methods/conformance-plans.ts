/** The form of what hooks return. */
import assert from 'node:assert/strict';
import type { ConformanceBench } from './conformance-bench.js';
import { watchHooks } from './conformance-watch.js';
import type { AttentionPlan, CachePlan, CacheView, Method, Ragged, SlotsView, StepView } from './contract.js';

export type OnList = (list: Ragged, slots: SlotsView, page: number) => void;

/** The same method; `onList` sees every list it returns while the hook's tensors live. */
export const inspectPlans = (method: Method, onList: OnList): Method =>
  watchHooks(method, (place, args, call) => {
    const result = call(args);
    if (place === 'decode.select') inspectAttention(result as AttentionPlan, (args[0] as StepView).slots, onList);
    if (place !== 'cache.finishPrefill' && place !== 'cache.maintain') return result;
    const inspect = (plan: CachePlan): CachePlan => {
      inspectCache(plan, args[0] as readonly CacheView[], onList);
      return plan;
    };
    return result instanceof Promise ? result.then(inspect) : inspect(result as CachePlan);
  });

const inspectAttention = ({ parts }: AttentionPlan, slots: SlotsView, onList: OnList): void => {
  for (const { keys } of parts) {
    if (keys.kind === 'tokens') onList(keys.indices, slots, 1);
    if (keys.kind === 'blocks') onList(keys.lists, slots, keys.keyBlock);
  }
};

const inspectCache = (plan: CachePlan, views: readonly CacheView[], onList: OnList): void => {
  for (const { layer, actions } of plan) {
    const { slots } = views[layer]!;
    let appended = 0;
    for (const action of actions) {
      if (action.kind === 'append') appended += action.counts.shape[2]!;
      if (action.kind === 'keep') onList(action.slots, { ...slots, lens: slots.lens.map((n) => n + appended) }, 1);
    }
  }
};

/** Ascending, unique, in range, nothing beyond the list. Returns the number of entries seen. */
export const checkList = (bench: ConformanceBench, list: Ragged, slots: SlotsView, page: number): number => {
  const [rows = 0, lists = 0, width = 0] = list.values.shape;
  const values = bench.peek(list.values);
  const lens = bench.peek(list.lens);
  assert.equal(width, list.maxLen);
  let entries = 0;
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < lists; at++) {
      const length = lens[row * lists + at]!;
      assert.ok(length >= -1 && length <= list.maxLen, `a list of ${length} in ${list.maxLen}`);
      const head = lists === slots.numKvHeads ? at : 0;
      const held = slots.lens[(slots.rows === 1 ? 0 : row) * slots.numKvHeads + head]!;
      let last = -1;
      for (let i = 0; i < length; i++) {
        const entry = values[(row * lists + at) * width + i]!;
        assert.ok(entry > last, `entry ${entry} behind ${last}`);
        assert.ok(entry * page < held, `entry ${entry} of pages of ${page} over ${held} slots`);
        last = entry;
        entries++;
      }
    }
  }
  return entries;
};
