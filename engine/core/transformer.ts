import { WinnowError } from '../../core/errors.js';
import type { LayerShape } from '../../methods/contract.js';
import type { CacheId, LayoutId, TensorId, WeightId } from '../../native/addon-types.js';
import type { Device, DeviceTensor } from './device.js';
import type { Pass, TokenVectors } from './pass.js';
import { createRecorder, type StepOps } from './recorder.js';
import { createRotaryTables, type RotaryEmbedding } from './rotary.js';
import { createScratch, type LayerScratch, type Scratch } from './scratch.js';
import { runSkipping, type SkippablePart } from './token-skip.js';

/** Packed weights of one decoder layer; 0 stands for a norm or bias that the layer does not have. */
export interface LayerWeights {
  readonly attentionNorm: TensorId;
  readonly qkv: WeightId;
  readonly qkvBias: TensorId;
  /** f32 [headDim], on each head before rotation. */
  readonly qNorm: TensorId;
  readonly kNorm: TensorId;
  readonly output: WeightId;
  /** On what attention gives, before it is added. */
  readonly postAttentionNorm: TensorId;
  readonly ffnNorm: TensorId;
  readonly gateUp: WeightId;
  /** gate and up are woven for the fused pass; else their product goes through a wide intermediate. */
  readonly gateUpWoven: boolean;
  readonly down: WeightId;
  readonly postFfnNorm: TensorId;
}

/** Gains stand as they are multiplied: what a family adds to the stored ones was added when they were loaded. */
export interface ModelWeights {
  readonly embedding: WeightId;
  readonly layers: readonly LayerWeights[];
  readonly finalNorm: TensorId;
  readonly head: WeightId;
}

/** What the layer loop needs of one layer besides the shape that adapters see. */
export interface Block {
  readonly ffnSize: number;
  /** Index in `rotary`. */
  readonly rotary: number;
}

/** Numbers of the architecture that the layer loop needs. `layers` and `blocks` have one entry a layer. */
export interface Architecture {
  readonly layers: readonly LayerShape[];
  readonly blocks: readonly Block[];
  readonly rotary: readonly RotaryEmbedding[];
  readonly hiddenSize: number;
  readonly vocabSize: number;
  readonly normEps: number;
  readonly embeddingScale: number;
  readonly activation: 'silu' | 'gelu';
  /** Logits are cap * tanh(logit / cap); 0: as they are. */
  readonly finalSoftCap: number;
}

export type { LayerSource, Pass, SoftTokens, TokenVectors } from './pass.js';
export { softWithin } from './pass.js';

/** The decoder's layer loop. One per open model; not re-entrant. */
export interface Transformer {
  readonly layout: LayoutId;
  /** Returns logits f32 [rows or rows * queryLen, vocabSize], valid until the next pass; undefined for `none`. */
  run(pass: Pass): DeviceTensor | undefined;
  /** What layer 0 reads for these ids: f32 [ids, hiddenSize], a new tensor. */
  embed(ids: Int32Array): DeviceTensor;
  newCache(): CacheId;
  /** Rotary table of a layer for a text of this length, f32 [at least `positions`, ropeDims]; valid until the next pass. */
  rotaryTable(layer: number, positions: number, textLength: number): DeviceTensor;
  /** Frees scratch and tables; weights belong to the caller. */
  dispose(): void;
}

export const createTransformer = (device: Device, arch: Architecture, weights: ModelWeights): Transformer => {
  const { addon } = device;
  const activation = arch.activation === 'silu' ? 0 : 1;
  const layout = addon.cacheLayout(
    Int32Array.from(arch.layers, (l) => l.numKvHeads),
    Int32Array.from(arch.layers, (l) => l.headDim),
    Int32Array.from(arch.layers, (l) => l.headDimV),
  );
  const scratch = createScratch(device, arch, weights);
  const rotary = createRotaryTables(device, arch.rotary);
  const recorder = addon.replay === undefined ? undefined : createRecorder(addon.replay);
  /** A device works on one layer while the next is put together; the host gains by fewer calls. */
  const flushesLayers = addon.synchronise !== undefined;
  /** Where the ops of the pass under way go: steps of many small calls make them together. */
  let ops: StepOps = addon;

  /** Adds what a layer's part gives to the hidden states, normed first where there is a norm. */
  const addPart = (s: Scratch, x: DeviceTensor, weight: WeightId, norm: TensorId, step: 0 | 1): void => {
    if (norm === 0) {
      ops.linear(x.id, weight, 0, 1, s.hidden.id, step);
      return;
    }
    ops.linear(x.id, weight, 0, 0, s.part!.id, step);
    ops.rmsNormAdd(s.part!.id, norm, arch.normEps, s.hidden.id);
  };

  const runAttention = (pass: Pass, layer: number, s: Scratch, own: LayerScratch, spans: readonly RowSpan[]): void => {
    const w = weights.layers[layer]!;
    const { numQueryHeads } = arch.layers[layer]!;
    const step = pass.isStep ? 1 : 0;
    ops.rmsNorm(s.hidden.id, w.attentionNorm, arch.normEps, 0, s.normed.id);
    ops.linear(s.normed.id, w.qkv, w.qkvBias, 0, own.qkv.id, step);
    /** Rotates this pass's queries and keys to `positions` and appends keys and values to `caches`. */
    const append = (to: StepOps, caches: Int32Array, positions: DeviceTensor, queries: DeviceTensor): void => {
      for (const span of spans) {
        const isWhole = span.rows === caches.length;
        const cut = (t: DeviceTensor): TensorId =>
          isWhole ? t.id : device.slice(t, span.first * pass.queryLen, span.rows * pass.queryLen).id;
        to.ropeAppend(
          cut(own.qkv),
          cut(positions),
          span.table(arch.blocks[layer]!.rotary).id,
          numQueryHeads,
          isWhole ? caches : caches.subarray(span.first, span.first + span.rows),
          layer,
          span.keepsUnrotated && caches === pass.caches ? 1 : 0,
          w.qNorm,
          w.kNorm,
          arch.normEps,
          cut(queries),
        );
      }
    };
    append(ops, pass.caches, s.positions, own.q);
    const vectors = (isRotated: boolean): TokenVectors => {
      const caches = Int32Array.from(pass.caches, () => addon.cacheCreate(layout));
      try {
        const queries = device.tensor(device.act, own.q.shape);
        // Position 0 turns nothing.
        append(addon, caches, isRotated ? s.positions : device.tensor('i32', s.positions.shape), queries);
        const read = (what: 0 | 1): DeviceTensor => {
          const first = device.wrap(addon.cacheRead(caches[0]!, layer, what), 'f32');
          const all = device.tensor('f32', [caches.length, ...first.shape]);
          caches.forEach((cache, row) => {
            const one = row === 0 ? first : device.wrap(addon.cacheRead(cache, layer, what), 'f32');
            addon.copyRows(device.reshape(one, [1, ...one.shape]).id, 0, all.id, row, 1);
          });
          return all;
        };
        return { queries, keys: read(0), values: read(1) };
      } finally {
        for (const cache of caches) addon.cacheFree(cache);
      }
    };
    if (pass.defersAttention !== true) recorder?.flush();
    pass.attend(layer, own.q, own.attended, { hidden: s.hidden, vectors, ops, flush: () => recorder?.flush() });
    addPart(s, own.attended, w.output, w.postAttentionNorm, step);
  };

  const runFfn = (pass: Pass, layer: number, s: Scratch, own: LayerScratch): void => {
    const w = weights.layers[layer]!;
    const step = pass.isStep ? 1 : 0;
    ops.rmsNorm(s.hidden.id, w.ffnNorm, arch.normEps, 0, s.normed.id);
    if (own.gateUp === undefined) ops.linearGated(s.normed.id, w.gateUp, activation, own.gated.id, step);
    else {
      ops.linear(s.normed.id, w.gateUp, 0, 0, own.gateUp.id, step);
      ops.gatedActivation(own.gateUp.id, activation, own.gated.id);
    }
    addPart(s, own.gated, w.down, w.postFfnNorm, step);
  };

  /** Runs of rows that rotate by one set of angles: one run, unless lengths differ and the scaling depends on them. */
  const spansOf = (pass: Pass): RowSpan[] => {
    const { queryLen, positions, caches } = pass;
    const spans: (RowSpan & { key: string; last: number })[] = [];
    for (let row = 0; row < caches.length; row++) {
      const last = largestIn(positions, row * queryLen, queryLen);
      const length = pass.textLength ?? last + 1;
      const sets = arch.rotary.map((embedding) => embedding.setOf(length, queryLen === 1));
      const keepsUnrotated = pass.keepsUnrotated?.(row) ?? false;
      const key = `${sets.join()} ${keepsUnrotated}`;
      const before = spans.at(-1);
      if (before?.key === key) {
        before.rows++;
        before.last = Math.max(before.last, last);
        continue;
      }
      const span = {
        key,
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

  const logitsOf = (pass: Pass, s: Scratch): DeviceTensor => {
    const rows = pass.caches.length;
    const wanted = pass.logits === 'all' ? pass.ids.length : rows;
    const out = scratch.forLogits(wanted);
    if (pass.logits === 'all' || pass.queryLen === 1) ops.copyRows(s.hidden.id, 0, out.rows.id, 0, wanted);
    else
      for (let row = 0; row < rows; row++)
        ops.copyRows(s.hidden.id, (row + 1) * pass.queryLen - 1, out.rows.id, row, 1);
    ops.rmsNorm(out.rows.id, weights.finalNorm, arch.normEps, 0, out.normed.id);
    ops.linear(out.normed.id, weights.head, 0, 0, out.logits.id, pass.isStep ? 1 : 0);
    if (arch.finalSoftCap > 0) ops.softCap(out.logits.id, arch.finalSoftCap);
    return out.logits;
  };

  /** One part of a layer for some tokens of a one-row pass. Returns their hidden states, [some, hiddenSize]. */
  const runSome = (pass: Pass, all: Scratch, part: SkippablePart, layer: number, some: Int32Array): DeviceTensor => {
    // Used last, the whole set is not the one that makes room for a small one.
    scratch.forTokens(pass.ids.length);
    const s = scratch.forTokens(some.length);
    const positions = some.map((token) => pass.positions[token]!);
    const own: Pass = { ...pass, ids: some.map((token) => pass.ids[token]!), positions, queryLen: some.length };
    if (s !== all) some.forEach((token, i) => void addon.copyRows(all.hidden.id, token, s.hidden.id, i, 1));
    if (part === 'ffn') runFfn(own, layer, s, s.layers[layer]!);
    else {
      addon.upload(s.positions.id, positions);
      runAttention(own, layer, s, s.layers[layer]!, spansOf(own));
    }
    return s.hidden;
  };

  const run = (pass: Pass): DeviceTensor | undefined => {
    const tokens = pass.ids.length;
    const rows = pass.caches.length;
    if (tokens !== rows * pass.queryLen || pass.positions.length !== tokens) {
      throw new WinnowError(
        'ERR_INTERNAL',
        'transformer.run',
        `${rows} rows of ${pass.queryLen} tokens`,
        `${tokens} ids, ${pass.positions.length} positions`,
      );
    }
    const s = scratch.forTokens(tokens);
    const spans = spansOf(pass);
    addon.upload(s.ids.id, pass.soft === undefined ? pass.ids : pass.ids.map((id) => Math.max(id, 0)));
    addon.upload(s.positions.id, pass.positions);
    addon.embed(weights.embedding, s.ids.id, arch.embeddingScale, s.hidden.id);
    // Rows of several spans cut views and may grow tables between ops.
    recorder?.clear();
    ops = recorder !== undefined && pass.isStep && pass.skip === undefined && spans.length === 1 ? recorder.ops : addon;
    pass.soft?.at.forEach((token, i) => {
      const { rows, firstRow } = pass.soft!;
      addon.copyRows(rows.id, firstRow + i, s.hidden.id, token, 1);
    });
    if (pass.skip !== undefined)
      runSkipping(device, arch.layers, pass.skip, s.hidden, (part, layer, some) => runSome(pass, s, part, layer, some));
    else
      arch.layers.forEach(({ mixer }, layer) => {
        const own = s.layers[layer]!;
        if (mixer === 'softmax') runAttention(pass, layer, s, own, spans);
        runFfn(pass, layer, s, own);
        if (flushesLayers) recorder?.flush();
      });
    const logits = pass.logits === 'none' ? undefined : logitsOf(pass, s);
    recorder?.flush();
    return logits;
  };

  const embed = (ids: Int32Array): DeviceTensor => {
    const out = device.tensor('f32', [ids.length, arch.hiddenSize]);
    addon.embed(weights.embedding, device.i32(ids).id, arch.embeddingScale, out.id);
    return out;
  };

  const dispose = (): void => {
    scratch.dispose();
    rotary.dispose();
  };

  return {
    layout,
    run,
    embed,
    newCache: () => addon.cacheCreate(layout),
    rotaryTable(layer, positions, textLength) {
      const { rotary: embedding } = arch.blocks[layer]!;
      return rotary.table(embedding, arch.rotary[embedding]!.setOf(textLength, false), positions);
    },
    dispose,
  };
};

/** Neighbouring rows that share their rotary tables. */
interface RowSpan {
  readonly first: number;
  rows: number;
  readonly keepsUnrotated: boolean;
  table(embedding: number): DeviceTensor;
}

const largestIn = (values: Int32Array, start: number, count: number): number => {
  let most = 0;
  for (let i = start; i < start + count; i++) if (values[i]! > most) most = values[i]!;
  return most;
};
