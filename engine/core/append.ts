/** Keys and values of a pass into the caches, rotated by the angles that each row's text has. */
import type { LayoutId, TensorId } from '../../native/addon-types.js';
import type { Device, DeviceTensor } from './device.js';
import type { Pass, TokenVectors } from './pass.js';
import type { StepOps } from './recorder.js';
import type { RotaryTables } from './rotary.js';
import type { LayerScratch } from './scratch.js';
import type { Architecture, ModelWeights } from './transformer.js';

/** Neighbouring rows that share their rotary tables. */
export interface RowSpan {
  readonly first: number;
  rows: number;
  readonly keepsUnrotated: boolean;
  table(embedding: number): DeviceTensor;
}

/** One layer's part of a pass. */
export interface LayerCall {
  readonly pass: Pass;
  readonly layer: number;
  readonly own: LayerScratch;
  readonly spans: readonly RowSpan[];
}

export interface Appender {
  /** Runs of rows that rotate by one set of angles: one run, unless lengths differ and the scaling depends on them. */
  spansOf(pass: Pass): RowSpan[];
  /** Rotates a pass's queries and keys to `positions` and appends keys and values to `caches`. */
  append(to: StepOps, call: LayerCall, caches: Int32Array, positions: DeviceTensor, queries: DeviceTensor): void;
  /** See `LayerSource.vectors`. */
  vectors(call: LayerCall, positions: DeviceTensor, isRotated: boolean): TokenVectors;
}

export const createAppender = ({
  device,
  arch,
  weights,
  rotary,
  layout,
}: {
  readonly device: Device;
  readonly arch: Architecture;
  readonly weights: ModelWeights;
  readonly rotary: RotaryTables;
  readonly layout: LayoutId;
}): Appender => {
  const { addon } = device;
  const spansOf = (pass: Pass): RowSpan[] => {
    const { queryLen, positions, caches } = pass;
    const spans: (RowSpan & { readonly sets: readonly string[]; last: number })[] = [];
    let known = -1;
    for (let row = 0; row < caches.length; row++) {
      const last = largestIn(positions, row * queryLen, queryLen);
      const length = pass.textLength ?? last + 1;
      const keepsUnrotated = pass.keepsUnrotated?.(row) ?? false;
      const before = spans.at(-1);
      // Rows of one length have the same sets, and so have most of others.
      const sets =
        length === known ? before!.sets : arch.rotary.map((embedding) => embedding.setOf(length, queryLen === 1));
      known = length;
      if (before?.keepsUnrotated === keepsUnrotated && sets.every((set, i) => set === before.sets[i])) {
        before.rows++;
        before.last = Math.max(before.last, last);
        continue;
      }
      const span = {
        sets,
        first: row,
        rows: 1,
        last,
        keepsUnrotated,
        table: (embedding: number) => rotary.table(embedding, sets[embedding]!, span.last + 1),
      };
      spans.push(span);
    }
    return spans;
  };

  const append: Appender['append'] = (to, { pass, layer, own, spans }, caches, positions, queries) => {
    const w = weights.layers[layer]!;
    for (const span of spans) {
      const isWhole = span.rows === caches.length;
      to.ropeAppend(
        cut(own.qkv, span, pass, isWhole),
        cut(positions, span, pass, isWhole),
        span.table(arch.blocks[layer]!.rotary).id,
        arch.layers[layer]!.numQueryHeads,
        isWhole ? caches : caches.subarray(span.first, span.first + span.rows),
        layer,
        span.keepsUnrotated && caches === pass.caches ? 1 : 0,
        w.qNorm,
        w.kNorm,
        arch.normEps,
        cut(queries, span, pass, isWhole),
      );
    }
  };
  const cut = (t: DeviceTensor, span: RowSpan, pass: Pass, isWhole: boolean): TensorId =>
    isWhole ? t.id : device.slice(t, span.first * pass.queryLen, span.rows * pass.queryLen).id;

  const vectors: Appender['vectors'] = (call, positions, isRotated) => {
    const { layer, own, pass } = call;
    const caches = Int32Array.from(pass.caches, () => addon.cacheCreate(layout));
    try {
      const queries = device.tensor(device.act, own.q.shape);
      // Position 0 turns nothing.
      append(addon, call, caches, isRotated ? positions : device.tensor('i32', positions.shape), queries);
      return { queries, keys: readAll(device, caches, layer, 0), values: readAll(device, caches, layer, 1) };
    } finally {
      for (const cache of caches) addon.cacheFree(cache);
    }
  };

  return { spansOf, append, vectors };
};

const readAll = (device: Device, caches: Int32Array, layer: number, what: 0 | 1): DeviceTensor => {
  const { addon } = device;
  const first = device.wrap(addon.cacheRead(caches[0]!, layer, what), 'f32');
  const all = device.tensor('f32', [caches.length, ...first.shape]);
  caches.forEach((cache, row) => {
    const one = row === 0 ? first : device.wrap(addon.cacheRead(cache, layer, what), 'f32');
    addon.copyRows(device.reshape(one, [1, ...one.shape]).id, 0, all.id, row, 1);
  });
  return all;
};

const largestIn = (values: Int32Array, start: number, count: number): number => {
  let most = 0;
  for (let i = start; i < start + count; i++) if (values[i]! > most) most = values[i]!;
  return most;
};
