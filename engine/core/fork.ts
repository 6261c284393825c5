/** Forward passes on copies of the cache, for methods that read the context again before they compress it (KVzip-like). */
import { WinnowError } from '../../core/errors.js';
import type { Fork, StateView, StepView } from '../../methods/contract.js';
import type { DeviceSlots, DeviceTensor } from './device.js';
import { largest, layerLens } from './device.js';
import { type Group, groupState, rowFacts } from './group.js';
import { createOps } from './ops.js';
import { headOffset } from './prefill.js';
import type { ModelContext } from './sample.js';

/**
 * A fork for the rows of a group. Every `forward` starts from a fresh copy of the caches and leaves no trace but the tokens in the
 * books; long inputs pass in chunks, each with its own `onLayer` calls. `shared`: rows are still equal, one copy stands for all.
 */
export const createFork = (context: ModelContext, group: Group, shared: boolean): Fork => ({
  forward: async (tokenIds, onLayer) => {
    if (tokenIds.length === 0) return;
    const { device, transformer, prefillChunk } = context;
    const { addon } = device;
    const rows = shared ? group.rows.slice(0, 1) : group.rows;
    const copies = Int32Array.from(rows, (row) => addon.cacheFork(row.cache));
    try {
      for (let start = 0; start < tokenIds.length; start += prefillChunk) {
        context.cancelled();
        const chunk = tokenIds.subarray(start, start + prefillChunk);
        const ids = new Int32Array(rows.length * chunk.length);
        const positions = new Int32Array(ids.length);
        rows.forEach((row, r) => {
          ids.set(chunk, r * chunk.length);
          for (let t = 0; t < chunk.length; t++) positions[r * chunk.length + t] = row.nextPosition + start + t;
        });
        transformer.run({
          ids,
          positions,
          caches: copies,
          queryLen: chunk.length,
          isStep: false,
          logits: 'none',
          attend(layer, q, out) {
            rows.forEach((_, r) => {
              device.scope(() => attendRow(context, layer, copies[r]!, r, chunk.length, q, out));
            });
            onLayer(forkView(context, group, copies, layer, chunk.length, q));
          },
        });
      }
      group.addAuxiliaryTokens(tokenIds.length);
    } finally {
      for (const copy of copies) addon.cacheFree(copy);
    }
  },
});

const attendRow = (
  { device, shapes }: ModelContext,
  layer: number,
  cache: number,
  row: number,
  queryLen: number,
  q: DeviceTensor,
  out: DeviceTensor,
): void => {
  const shape = shapes[layer]!;
  device.addon.attendPrefill(
    device.slice(q, row * queryLen, queryLen).id,
    cache,
    layer,
    1 / Math.sqrt(shape.headDim),
    shape.softCap ?? 0,
    shape.slidingWindow ?? 0,
    0,
    device.slice(out, row * queryLen, queryLen).id,
    0,
  );
};

/** What a hook sees of one layer of the pass. Slots include the pass's own, at the end of every head. */
const forkView = (
  context: ModelContext,
  group: Group,
  copies: Int32Array,
  layer: number,
  queryLen: number,
  q: DeviceTensor,
): StepView => {
  const { device, shapes } = context;
  const shape = shapes[layer]!;
  const { id } = group.rows[0]!.resolved.bound.method;
  const refuse = (name: string): never => {
    throw new WinnowError('ERR_UNSUPPORTED', `${id}.fork.${name}`, 'rotated queries and slots', name);
  };
  const lens = layerLens(device.addon, [...copies], headOffset(shapes, layer), shape.numKvHeads);
  const slots: DeviceSlots = {
    layer,
    rows: copies.length,
    numKvHeads: shape.numKvHeads,
    maxLen: largest(lens),
    lens,
    caches: copies,
  };
  return {
    layer,
    shape,
    rows: rowFacts(group),
    state: readOnly(groupState(context, group, layer), id),
    ops: createOps({ device, shapes, elementBytes: context.elementBytes, bill: group.bill, allowHostLists: true }),
    step: 0,
    phase: 'question',
    queryLen,
    slots,
    queries: (rope) =>
      rope === 'rotated'
        ? device.reshape(q, [copies.length, queryLen, shape.numQueryHeads * shape.headDim])
        : refuse('queries(un-rotated)'),
    probs: () => refuse('probs'),
    lse: () => refuse('lse'),
  };
};

const readOnly = (state: StateView, id: string): StateView => ({
  read: state.read,
  write: (name) => {
    throw new WinnowError(
      'ERR_CONTRACT',
      `${id}.fork.state.${name}`,
      'state that a pass on a copy only reads',
      'a write',
      'Keep what the pass found in finishPrefill and act on it there.',
    );
  },
});
