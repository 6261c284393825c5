/** Forward passes beside a sample's own: on copies of its cache (KVzip-like), or over calibration text on an empty one. */
import { WinnowError } from '../../core/errors.js';
import type { Fork, RowFacts, StateView, StepView } from '../../methods/contract.js';
import type { CacheId } from '../../native/addon-types.js';
import type { DeviceSlots, DeviceTensor } from './device.js';
import { largest, layerLens } from './device.js';
import { type Group, groupState } from './group.js';
import { type Bill, createOps } from './ops.js';
import { headOffset } from './prefill.js';
import type { ModelContext } from './sample.js';

/**
 * A fork for the rows of a group. Every `forward` starts from a fresh copy of the caches and leaves no trace but the tokens in the
 * books. `shared`: rows are still equal, one copy stands for all.
 */
export const createFork = (context: ModelContext, group: Group, shared: boolean): Fork => ({
  forward: async (tokenIds, onLayer) => {
    if (tokenIds.length === 0) return;
    const { addon } = context.device;
    const { id } = group.rows[0]!.resolved.bound.method;
    const rows = shared ? group.rows.slice(0, 1) : group.rows;
    const caches = rows.map((row) => addon.cacheFork(row.cache));
    try {
      const starts = rows.map((row) => row.nextPosition);
      passOver(context, { caches, starts, tokenIds }, (layer, q, queryLen) =>
        onLayer(
          passView(context, {
            where: `${id}.fork`,
            caches,
            layer,
            queryLen,
            q,
            rows: group.facts,
            state: readOnly(groupState(context, group, layer), id),
            bill: group.bill,
          }),
        ),
      );
      group.addAuxiliaryTokens(tokenIds.length);
    } finally {
      for (const copy of caches) addon.cacheFree(copy);
    }
  },
});

export interface AsidePass {
  /** Grown by the tokens; owned by the caller. */
  readonly caches: readonly CacheId[];
  /** Position of the first token, by cache. */
  readonly starts: readonly number[];
  /** The same for every cache. */
  readonly tokenIds: Int32Array;
}

/** Feeds tokens in chunks; `onLayer` after each layer's attention, with that chunk's rotated queries [caches * queryLen, Hq * d]. */
export const passOver = (
  context: ModelContext,
  { caches, starts, tokenIds }: AsidePass,
  onLayer: (layer: number, q: DeviceTensor, queryLen: number) => void,
): void => {
  const { device, transformer, prefillChunk } = context;
  for (let start = 0; start < tokenIds.length; start += prefillChunk) {
    context.cancelled();
    const chunk = tokenIds.subarray(start, start + prefillChunk);
    const ids = new Int32Array(caches.length * chunk.length);
    const positions = new Int32Array(ids.length);
    starts.forEach((first, r) => {
      ids.set(chunk, r * chunk.length);
      for (let t = 0; t < chunk.length; t++) positions[r * chunk.length + t] = first + start + t;
    });
    transformer.run({
      ids,
      positions,
      caches: Int32Array.from(caches),
      queryLen: chunk.length,
      isStep: false,
      logits: 'none',
      attend(layer, q, out) {
        caches.forEach((cache, r) => {
          device.scope(() => attendRow(context, layer, cache, r, chunk.length, q, out));
        });
        onLayer(layer, q, chunk.length);
      },
    });
  }
};

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
    shape.kvSource,
    shape.softmaxScale,
    shape.softCap ?? 0,
    shape.slidingWindow ?? 0,
    0,
    device.slice(out, row * queryLen, queryLen).id,
    0,
  );
};

export interface PassLayer {
  /** Named in errors. */
  readonly where: string;
  readonly caches: readonly CacheId[];
  readonly layer: number;
  readonly queryLen: number;
  readonly q: DeviceTensor;
  readonly rows: RowFacts;
  readonly state: StateView;
  readonly bill: Bill;
}

/** What a hook sees of one layer of such a pass. Slots include the pass's own, at the end of every head. */
export const passView = (context: ModelContext, pass: PassLayer): StepView => {
  const { device, shapes, elementBytes } = context;
  const { where, caches, layer, queryLen, q, rows, state, bill } = pass;
  const shape = shapes[layer]!;
  const refuse = (name: string): never => {
    throw new WinnowError('ERR_UNSUPPORTED', `${where}.${name}`, 'rotated queries and slots', name);
  };
  const lens = layerLens(device.addon, caches, headOffset(shapes, layer), shape.numKvHeads);
  const slots: DeviceSlots = {
    layer,
    rows: caches.length,
    numKvHeads: shape.numKvHeads,
    maxLen: largest(lens),
    lens,
    caches: Int32Array.from(caches),
  };
  return {
    layer,
    shape,
    rows,
    state,
    ops: createOps({ device, shapes, elementBytes, bill, allowHostLists: true }),
    step: 0,
    phase: 'question',
    queryLen,
    slots,
    queries: (rope) =>
      rope === 'rotated'
        ? device.reshape(q, [caches.length, queryLen, shape.numQueryHeads * shape.headDim])
        : refuse('queries(un-rotated)'),
    hidden: () => refuse('hidden'),
    tokenIds: () => refuse('tokenIds'),
    probs: () => refuse('probs'),
    lse: () => refuse('lse'),
  };
};

const readOnly = (state: StateView, id: string): StateView => {
  const refuse = (name: string): never => {
    throw new WinnowError(
      'ERR_CONTRACT',
      `${id}.fork.state.${name}`,
      'state that a pass on a copy only reads',
      'a write',
      'Keep what the pass found in finishPrefill and act on it there.',
    );
  };
  return { read: state.read, write: refuse, append: refuse };
};
