import type { CachePlan } from '../../methods/contract.js';
import { appendSlots, rotateSlots } from './apply-edit.js';
import { keepSlots } from './apply-keep.js';
import { mergeSlots } from './apply-merge.js';
import { moveSlots } from './apply-move.js';
import { quantiseSlots, thinKeys } from './apply-pack.js';
import type { Group, GroupContext } from './group.js';
import { refreshReadBytes } from './rows.js';

/**
 * Applies a plan to every row of a group; `heldAtEnd` slots at the end of every list must survive and stay last. Keeps books, state and
 * page fields in step with the cache.
 */
export const applyPlan = (context: GroupContext, group: Group, plan: CachePlan, heldAtEnd = 0): void => {
  const rebuilt = new Set<number>();
  let changed = false;
  for (const { layer, actions } of plan) {
    for (const action of actions) {
      changed = true;
      switch (action.kind) {
        case 'keep':
          keepSlots(context, group, layer, action.slots, heldAtEnd);
          break;
        case 'append':
          appendSlots(context, group, layer, action, heldAtEnd);
          break;
        case 'merge':
          mergeSlots(context, group, layer, action);
          break;
        case 'rotate':
          rotateSlots(context, group, layer, action);
          break;
        case 'quantise':
          quantiseSlots(context, group, layer, action);
          break;
        case 'channels':
          thinKeys(context, group, layer, action);
          break;
        case 'move':
          moveSlots(context, group, layer, action);
          break;
      }
      if (action.kind !== 'move') rebuilt.add(layer);
    }
  }
  if (group.state.hasPages) {
    const fromStart = group.rows.map(() => 0);
    for (const layer of rebuilt) group.state.refresh(layer, [...group.caches], fromStart);
  }
  if (changed) for (const row of group.rows) refreshReadBytes(context.device, row, context.shapes);
};
