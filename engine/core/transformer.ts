import { WinnowError } from '../../core/errors.js';
import type { LayerShape } from '../../methods/contract.js';
import type { CacheId, LayoutId, TensorId, WeightId } from '../../native/addon-types.js';
import { createAppender, type LayerCall, type RowSpan } from './append.js';
import type { Device, DeviceTensor } from './device.js';
import type { Pass } from './pass.js';
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
  const appender = createAppender({ device, arch, weights, rotary, layout });
  const recorder = addon.replay === undefined ? undefined : createRecorder(addon.replay);
  const flush = (): void => recorder?.flush();
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
    const step = pass.isStep ? 1 : 0;
    const call: LayerCall = { pass, layer, own, spans };
    ops.rmsNorm(s.hidden.id, w.attentionNorm, arch.normEps, 0, s.normed.id);
    ops.linear(s.normed.id, w.qkv, w.qkvBias, 0, own.qkv.id, step);
    // A device that has waited for the token is to have work at once.
    if (layer === 0 && flushesLayers) flush();
    appender.append(ops, call, pass.caches, s.positions, own.q);
    if (pass.defersAttention !== true) flush();
    pass.attend(layer, own.q, own.attended, {
      hidden: s.hidden,
      ops,
      vectors(isRotated) {
        return appender.vectors(call, s.positions, isRotated);
      },
      flush,
    });
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
      runAttention(own, layer, s, s.layers[layer]!, appender.spansOf(own));
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
    const spans = appender.spansOf(pass);
    s.fed.values.set(pass.soft === undefined ? pass.ids : pass.ids.map((id) => Math.max(id, 0)));
    s.fed.values.set(pass.positions, tokens);
    addon.upload(s.fed.tensor.id, s.fed.values);
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
        if (flushesLayers) flush();
      });
    const logits = pass.logits === 'none' ? undefined : logitsOf(pass, s);
    flush();
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
