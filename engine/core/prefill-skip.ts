/** The prefill of a method that lets tokens leave out layers or parts of them. Layers then hold different numbers of slots. */
import { WinnowError } from '../../core/errors.js';
import type { ChunkView, TokenPlan } from '../../methods/contract.js';
import type { CacheId } from '../../native/addon-types.js';
import { createColumnStats } from './column-stats.js';
import { type DeviceTensor, device as deviceOf, layerLens } from './device.js';
import { type Group, groupState } from './group.js';
import { type SoftTokens, softWithin } from './pass.js';
import { headOffset, type PrefillResult } from './prefill.js';
import { totalHeads } from './rows.js';
import type { ModelContext } from './sample.js';
import type { SkippablePart, TokenChoice } from './token-skip.js';

export interface SkippingRequest {
  readonly ids: Int32Array;
  readonly soft?: SoftTokens;
  readonly cache: CacheId;
  readonly wantLogits: boolean;
  /** One row, with the method's state. */
  readonly group: Group;
}

/** Feeds a prompt; the last token runs everywhere. Slots are counted from the plans. */
export const prefillSkipping = (
  context: ModelContext,
  { ids, soft, cache, wantLogits, group }: SkippingRequest,
): PrefillResult => {
  const { device, transformer, shapes, prefillChunk } = context;
  const slots = new Int32Array(totalHeads(shapes));
  let logits: DeviceTensor | undefined;
  let pairs = 0;
  let causalPairs = 0;
  for (let start = 0; start < ids.length; start += prefillChunk) {
    context.cancelled();
    const chunk = ids.subarray(start, start + prefillChunk);
    const isLast = start + chunk.length === ids.length;
    logits = transformer.run({
      ids: chunk,
      ...(soft === undefined ? {} : { soft: softWithin(soft, start, chunk.length) }),
      positions: Int32Array.from({ length: chunk.length }, (_, i) => start + i),
      caches: Int32Array.of(cache),
      queryLen: chunk.length,
      isStep: false,
      textLength: ids.length,
      logits: isLast && wantLogits ? 'last' : 'none',
      skip: {
        tokens: chunk.length,
        ...(isLast ? { always: chunk.length - 1 } : {}),
        choose(layer, at, hidden) {
          const view = skipView(context, group, layer, start, hidden, cache);
          return choiceOf(context, group, group.hooks().prefill!.tokens!(view, at), at, chunk.length);
        },
      },
      attend(layer, q, out) {
        const shape = shapes[layer]!;
        const { softmaxScale, softCap = 0, slidingWindow = 0 } = shape;
        device.addon.attendPrefill(q.id, cache, layer, softmaxScale, softCap, slidingWindow, 0, out.id, 0);
        const first = headOffset(shapes, layer);
        const count = q.shape[0]!;
        pairs += pairsOf(slots[first] ?? 0, count) * shape.numQueryHeads;
        for (let head = first; head < first + shape.numKvHeads; head++) slots[head]! += count;
      },
    });
    for (const { numQueryHeads } of shapes) causalPairs += pairsOf(start, chunk.length) * numQueryHeads;
  }
  return {
    logits,
    windowQueries: [],
    columnStats: createColumnStats(device, shapes, [], 0),
    pairs,
    causalPairs,
    slots,
  };
};

/** Of `count` causal queries after `past` slots. */
const pairsOf = (past: number, count: number): number => count * past + (count * (count + 1)) / 2;

/** A plan's tokens on the host. */
const choiceOf = (
  { device }: ModelContext,
  group: Group,
  plan: TokenPlan,
  at: 'layer' | SkippablePart,
  tokens: number,
): TokenChoice | undefined => {
  const where = `${group.rows[0]!.resolved.bound.method.id}.prefill.tokens, ${at}`;
  const length = (device.addon.download(deviceOf(plan.run.lens).id) as Int32Array)[0]!;
  if (length < 0) return undefined;
  const run = (device.addon.download(deviceOf(plan.run.values).id) as Int32Array).slice(0, length);
  if (!run.every((token, i) => token >= 0 && token < tokens && (i === 0 || token > run[i - 1]!)))
    throw new WinnowError('ERR_CONTRACT', where, `ascending tokens of the chunk, below ${tokens}`, [...run]);
  return { run, cachesAll: plan.cached === 'all', forgets: plan.forget };
};

const skipView = (
  context: ModelContext,
  group: Group,
  layer: number,
  offset: number,
  hidden: DeviceTensor,
  cache: CacheId,
): ChunkView => {
  const { device, shapes } = context;
  const shape = shapes[layer]!;
  const { id } = group.rows[0]!.resolved.bound.method;
  const refuse = (name: string) => (): never => {
    throw new WinnowError('ERR_CONTRACT', `${id}.prefill.tokens.${name}`, 'hidden states, which are declared', name);
  };
  const lens = layerLens(device.addon, [cache], headOffset(shapes, layer), shape.numKvHeads);
  const past = {
    layer,
    rows: 1,
    numKvHeads: shape.numKvHeads,
    maxLen: lens[0] ?? 0,
    lens,
    caches: Int32Array.of(cache),
  };
  const declared = group.rows[0]!.resolved.declaration.needs.some((need) => 'view' in need && need.view === 'hidden');
  return {
    layer,
    shape,
    rows: group.facts,
    state: groupState(context, group, layer),
    ops: group.ops(context, true),
    offset,
    queryLen: hidden.shape[0]!,
    past,
    queries: refuse('queries'),
    keys: refuse('keys'),
    values: refuse('values'),
    hidden: declared ? () => device.reshape(hidden, [1, ...hidden.shape]) : refuse('hidden'),
    lse: refuse('lse'),
    attentionOutput: refuse('attentionOutput'),
  };
};
