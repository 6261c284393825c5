/** What hooks see during a step, and the hooks that follow it. */
import { WinnowError } from '../../core/errors.js';
import type { Scope, StepView } from '../../methods/contract.js';
import { applyPlan } from './apply-plan.js';
import type { Device, DeviceTensor } from './device.js';
import { cacheViews, type Group, type GroupContext, groupState, rowFacts, slotsView } from './group.js';
import { createOps } from './ops.js';
import { headOffset } from './prefill.js';
import type { StepRequest } from './step.js';

export const probsScope = (group: Group): Scope | undefined => {
  for (const need of group.rows[0]!.resolved.declaration.needs)
    if ('view' in need && need.view === 'probs') return need.scope;
  return undefined;
};

export const stepView = (
  context: GroupContext,
  group: Group,
  layer: number,
  q: DeviceTensor,
  request: StepRequest,
  probs: () => DeviceTensor | undefined,
): StepView => {
  const { device, shapes } = context;
  const shape = shapes[layer]!;
  const id = group.rows[0]!.resolved.bound.method.id;
  const refuse = (name: string): never => {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${id}.${name}`,
      'rotated queries, or probs of a one-token step that were declared',
      name,
    );
  };
  return {
    layer,
    shape,
    rows: rowFacts(group),
    state: groupState(context, group, layer),
    ops: createOps({ device, shapes, elementBytes: context.elementBytes, bill: group.bill, allowHostLists: false }),
    step: request.step,
    phase: request.phase,
    queryLen: request.queryLen,
    slots: slotsView(context, group, layer, false),
    queries: (rope) =>
      rope === 'rotated'
        ? device.reshape(q, [group.rows.length, request.queryLen, shape.numQueryHeads * shape.headDim])
        : refuse('queries(un-rotated)'),
    probs: () => probs() ?? refuse('probs'),
    lse: () => refuse('lse'),
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
      stepView(context, group, layer, kept, { ...request, queryLen: accepted }, () => undefined),
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
    const id = addon.windowScores(lastQuery!.id, group.caches, layer, shape.softmaxScale, 0, 0, 1, 0);
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
