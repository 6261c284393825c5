/** What a method that plans or watches the prefill sees of it. */
import { WinnowError } from '../../core/errors.js';
import type { ChunkView } from '../../methods/contract.js';
import type { DeviceTensor } from './device.js';
import { type Group, type GroupContext, groupState } from './group.js';
import { headOffset, type PrefillChunk, type PrefillHooks } from './prefill.js';
import type { ResolvedSetting } from './settings.js';
import { needs } from './step-hooks.js';

/** Whether a setting must prefill for itself: it changes the prefill, or wants to see it pass. */
export const ownsPrefill = (setting: ResolvedSetting): boolean =>
  setting.declaration.changesPrefill || setting.hooks().cache?.onWrite !== undefined;

/** `group` has one row and holds the method's state during the prefill. */
export const prefillHooks = (context: GroupContext, group: Group): PrefillHooks => {
  const { sequence, resolved } = group.rows[0]!;
  const { prefill, cache } = group.hooks();
  const view = (chunk: PrefillChunk): ChunkView => chunkView(context, group, chunk);
  return {
    ...(prefill?.plan === undefined ? {} : { plan: (chunk) => group.hooks().prefill!.plan!(view(chunk)) }),
    ...(cache?.onWrite === undefined ? {} : { onWrite: (chunk) => group.hooks().cache!.onWrite!(view(chunk)) }),
    needsLse: needs(group, 'lse'),
    layout: resolved.declaration.layout,
    ...(sequence.segments === undefined ? {} : { segments: sequence.segments }),
    plans: group.plans,
    rotary: context.rotary,
  };
};

const chunkView = (context: GroupContext, group: Group, chunk: PrefillChunk): ChunkView => {
  const { device, shapes } = context;
  const { layer, offset, queryLen, past, source } = chunk;
  const shape = shapes[layer]!;
  const [row] = group.rows;
  // The books of a prefill: every head holds the prompt so far.
  const first = headOffset(shapes, layer);
  row!.slots.fill(offset + queryLen, first, first + shape.numKvHeads);
  const refuse = (name: string): never => {
    throw new WinnowError(
      'ERR_CONTRACT',
      `${row!.resolved.bound.method.id}.${name}`,
      'a view that is declared in needs and exists at this moment',
      name,
    );
  };
  const chunkOf = (t: DeviceTensor): DeviceTensor => device.reshape(t, [1, queryLen, t.shape[1]!]);
  return {
    layer,
    shape,
    rows: group.facts,
    state: groupState(context, group, layer),
    ops: group.ops(context, true),
    offset,
    queryLen,
    past,
    queries(rope) {
      if (rope === 'rotated') return chunkOf(chunk.queries);
      return needs(group, 'queries') ? chunkOf(source.vectors(false).queries) : refuse('queries(un-rotated)');
    },
    keys(rope) {
      if (rope === 'un-rotated' && !needs(group, 'keysPreRope')) refuse('keys(un-rotated)');
      return source.vectors(rope === 'rotated').keys;
    },
    values: () => source.vectors(true).values,
    hidden: () => (needs(group, 'hidden') ? chunkOf(source.hidden) : refuse('hidden')),
    lse: () => (chunk.lse === undefined ? refuse('lse') : chunkOf(chunk.lse)),
    attentionOutput: () =>
      chunk.output === undefined || !needs(group, 'attentionOutput')
        ? refuse('attentionOutput')
        : chunkOf(chunk.output),
  };
};
