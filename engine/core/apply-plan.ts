import { WinnowError } from '../../core/errors.js';
import type { CachePlan } from '../../methods/contract.js';
import { appendSlots, rotateSlots } from './apply-edit.js';
import { keepSlots } from './apply-keep.js';
import { mergeSlots } from './apply-merge.js';
import { moveSlots } from './apply-move.js';
import { quantiseSlots, thinKeys } from './apply-pack.js';
import type { Group, GroupContext } from './group.js';
import { refreshReadBytes } from './rows.js';

/** A layer that slides is left alone: which of its slots are there follows from its window. */
const checkLayer = ({ shapes }: GroupContext, group: Group, layer: number): void => {
  const shape = shapes[layer];
  if (shape !== undefined && shape.slidingWindow === undefined) return;
  throw new WinnowError(
    'ERR_CONTRACT',
    `${group.rows[0]!.resolved.bound.method.id}.layer`,
    shape === undefined ? `one of ${shapes.length} layers` : 'actions on layers that can be evicted from',
    shape === undefined ? layer : `layer ${layer}, which slides`,
  );
};

/**
 * Applies a plan to every row of a group; `heldAtEnd` slots at the end of every list must survive and stay last. Keeps books, state and
 * page fields in step with the cache.
 */
export const applyPlan = (context: GroupContext, group: Group, plan: CachePlan, heldAtEnd = 0): void => {
  const rebuilt = new Set<number>();
  let changed = false;
  for (const { layer, actions } of plan) {
    if (actions.length > 0) checkLayer(context, group, layer);
    for (const action of actions) {
      let acted = true;
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
          // Asked after every step, it acts once a page.
          acted = quantiseSlots(context, group, layer, action);
          break;
        case 'channels':
          thinKeys(context, group, layer, action);
          break;
        case 'move':
          moveSlots(context, group, layer, action);
          break;
      }
      changed ||= acted;
      if (acted && action.kind !== 'move') rebuilt.add(layer);
    }
  }
  if (group.state.hasPages) {
    const fromStart = group.rows.map(() => 0);
    for (const layer of rebuilt) group.state.refresh(layer, [...group.caches], fromStart);
  }
  if (changed)
    for (const row of group.rows) refreshReadBytes(context.device, row, context.shapes, context.elementBytes);
};
