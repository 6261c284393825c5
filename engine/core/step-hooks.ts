/** What hooks see during a step, and the hooks that follow it. */
import { WinnowError } from '../../core/errors.js';
import type { Scope, StepView } from '../../methods/contract.js';
import { applyPlan } from './apply-plan.js';
import type { Device, DeviceTensor } from './device.js';
import { cacheViews, type Group, type GroupContext, groupState, slotsView } from './group.js';
import { headOffset } from './prefill.js';
import type { StepRequest } from './step.js';
import type { LayerSource } from './transformer.js';

export const probsScope = (group: Group): Scope | undefined => {
  for (const need of group.rows[0]!.resolved.declaration.needs)
    if ('view' in need && need.view === 'probs') return need.scope;
  return undefined;
};

/** Whether the group's method declared a view. */
export const needs = (group: Group, view: string): boolean =>
  group.rows[0]!.resolved.declaration.needs.some((need) => 'view' in need && need.view === view);

/** Where the views of a step come from. */
export interface StepSources {
  /** act [rows * queryLen, Hq * d] of the group. */
  readonly q: DeviceTensor;
  /** Absent after the step. */
  readonly source?: LayerSource;
  /** Number of the group's first row in the step. */
  readonly firstRow: number;
  probs(): DeviceTensor | undefined;
  lse(): DeviceTensor | undefined;
}

export const stepView = (
  context: GroupContext,
  group: Group,
  layer: number,
  request: StepRequest,
  sources: StepSources,
): StepView => {
  const { device, shapes } = context;
  const shape = shapes[layer]!;
  const rows = group.rows.length;
  const { queryLen } = request;
  const refuse = (name: string, what: string): never => {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${group.rows[0]!.resolved.bound.method.id}.${name}`,
      `${what} that is declared in needs and exists at this moment`,
      name,
    );
  };
  const ofGroup = (t: DeviceTensor): DeviceTensor => device.slice(t, sources.firstRow * queryLen, rows * queryLen);
  return {
    layer,
    shape,
    rows: group.facts,
    state: groupState(context, group, layer),
    ops: group.ops(context, false),
    step: request.step,
    phase: request.phase,
    queryLen,
    slots: slotsView(context, group, layer, false),
    queries(rope) {
      const own = [rows, queryLen, shape.numQueryHeads * shape.headDim];
      if (rope === 'rotated') return device.reshape(sources.q, own);
      if (sources.source === undefined || !needs(group, 'queries')) return refuse('queries(un-rotated)', 'a view');
      return device.reshape(ofGroup(sources.source.vectors(false).queries), own);
    },
    hidden() {
      if (sources.source === undefined || !(needs(group, 'hidden') || (layer === 0 && needs(group, 'embeddings'))))
        return refuse('hidden', 'a view');
      const { hidden } = sources.source;
      return device.reshape(ofGroup(hidden), [rows, queryLen, hidden.shape[1]!]);
    },
    tokenIds() {
      if (!needs(group, 'tokens')) return refuse('tokenIds', 'a view');
      const first = sources.firstRow * queryLen;
      return device.i32(request.ids.slice(first, first + rows * queryLen), [rows, queryLen]);
    },
    probs: () => sources.probs() ?? refuse('probs', 'a view of a one-token step'),
    lse() {
      const lse = sources.lse();
      return lse === undefined ? refuse('lse', 'a view') : device.reshape(lse, [rows, queryLen, shape.numQueryHeads]);
    },
  };
};

/** Last accepted query of each row: act [rows, 1, Hq * d]. */
export const lastOf = (
  device: Device,
  q: DeviceTensor,
  rows: number,
  queryLen: number,
  accepted: number,
): DeviceTensor => {
  const out = device.tensor(device.act, [rows, q.shape[1]!]);
  const last = Math.max(1, accepted) - 1;
  for (let row = 0; row < rows; row++) device.addon.copyRows(q.id, row * queryLen + last, out.id, row, 1);
  return device.reshape(out, [rows, 1, q.shape[1]!]);
};

/** `commit` of every layer, with the accepted queries only. */
export const commit = (
  context: GroupContext,
  group: Group,
  request: StepRequest,
  accepted: number,
  queries: readonly DeviceTensor[] | undefined,
): void => {
  if (queries === undefined || accepted === 0) return;
  const { device } = context;
  queries.forEach((all, layer) => {
    const kept = device.tensor(all.dtype, [group.rows.length * accepted, all.shape[1]!]);
    for (let row = 0; row < group.rows.length; row++)
      device.addon.copyRows(all.id, row * request.queryLen, kept.id, row * accepted, accepted);
    group.hooks().decode!.commit!(
      stepView(
        context,
        group,
        layer,
        { ...request, queryLen: accepted },
        { q: kept, firstRow: 0, probs: () => undefined, lse: () => undefined },
      ),
    );
  });
};

export const copyOf = (device: Device, t: DeviceTensor): DeviceTensor => {
  const out = device.tensor(t.dtype, t.shape);
  device.addon.copyRows(t.id, 0, out.id, 0, t.shape[0]!);
  return out;
};

/** `maintain` over all layers, with the step's attention where it was asked for. */
export const maintain = (
  context: GroupContext,
  group: Group,
  queryLen: number,
  lastQueries: DeviceTensor[] | undefined,
  probabilities: DeviceTensor[] | undefined,
): void => {
  const hook = group.hooks().cache?.maintain;
  if (hook === undefined) return;
  const scope = probsScope(group);
  context.device.scope(() => {
    const views = cacheViews(context, group, {
      boundary: 'step',
      shared: false,
      ...(scope === undefined
        ? {}
        : {
            probs: (layer: number) =>
              reduceProbs(context, group, layer, scope, queryLen, lastQueries?.[layer], probabilities?.[layer]),
          }),
    });
    applyPlan(context, group, group.hooks().cache!.maintain!(views));
  });
};

export const reduceProbs = (
  context: GroupContext,
  group: Group,
  layer: number,
  scope: Scope,
  queryLen: number,
  lastQuery: DeviceTensor | undefined,
  probs: DeviceTensor | undefined,
): DeviceTensor => {
  const { device, shapes } = context;
  const { addon } = device;
  const shape = shapes[layer]!;
  let all = probs;
  if (queryLen > 1 || all === undefined) {
    const { softmaxScale, softCap = 0, slidingWindow = 0 } = shape;
    const id = addon.windowScores(lastQuery!.id, group.caches, layer, softmaxScale, softCap, slidingWindow, 0, 0, 1, 0);
    all = device.wrap(id, 'f32');
  }
  const [rows = 0, heads = 0, length = 0] = all.shape;
  if (scope === 'queryHead') return all;
  if (scope === 'kvHead') {
    const grouped = device.reshape(all, [rows * shape.numKvHeads, heads / shape.numKvHeads, length]);
    return device.reshape(device.wrap(addon.reduceHeads(grouped.id, 0), 'f32'), [rows, shape.numKvHeads, length]);
  }
  return device.wrap(addon.reduceHeads(all.id, 0), 'f32');
};

/** Caches that attention reads: the group's own, unless a test replaces them. */
export const readCaches = (
  context: GroupContext,
  request: StepRequest,
  group: Group,
  layer: number,
  read: readonly Int32Array[][] | undefined,
): Int32Array => {
  if (request.readFrom === undefined) return group.caches;
  const heads = context.shapes[layer]!.numKvHeads;
  const offset = headOffset(context.shapes, layer);
  return Int32Array.from(group.rows, (row, r) =>
    request.readFrom!(
      row,
      layer,
      read?.[r] ??
        Array.from({ length: heads }, (_, h) => Int32Array.from({ length: row.slots[offset + h]! }, (_, i) => i)),
    ),
  );
};
