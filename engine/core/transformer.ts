import { WinnowError } from '../../core/errors.js';
import type { LayerShape } from '../../methods/contract.js';
import type { CacheId, LayoutId, TensorId, WeightId } from '../../native/addon-types.js';
import type { Device, DeviceTensor } from './device.js';

/** Packed weights of one decoder layer. */
export interface LayerWeights {
  readonly attentionNorm: TensorId;
  readonly qkv: WeightId;
  readonly qkvBias: TensorId;
  readonly qNorm: TensorId;
  readonly kNorm: TensorId;
  readonly output: WeightId;
  readonly ffnNorm: TensorId;
  readonly gateUp: WeightId;
  readonly down: WeightId;
}

export interface ModelWeights {
  /** gate and up are woven for the fused pass; else their product goes through a wide intermediate. */
  readonly gateUpWoven: boolean;
  readonly embedding: WeightId;
  readonly layers: readonly LayerWeights[];
  readonly finalNorm: TensorId;
  readonly head: WeightId;
}

/** Numbers of the architecture that the layer loop needs. */
export interface Architecture {
  readonly layers: readonly LayerShape[];
  readonly hiddenSize: number;
  readonly ffnSize: number;
  readonly vocabSize: number;
  readonly normEps: number;
  readonly normGainOffset: number;
  readonly embeddingScale: number;
  readonly activation: 'silu' | 'gelu';
  /** f32 [positions, ropeDims]: cosines, then sines, scaling applied. */
  rotaryTable(positions: number): Float32Array;
}

/** One pass over all layers for `rows` sequences with `queryLen` tokens each. */
export interface Pass {
  /** i32 [rows * queryLen]. */
  readonly ids: Int32Array;
  readonly positions: Int32Array;
  readonly caches: Int32Array;
  readonly queryLen: number;
  /** Tokens of a step: few rows, weights read at memory speed. Part of a token's bits, unlike what it shares the pass with. */
  readonly isStep: boolean;
  /** Which logits are wanted: none, the last token of each row, or every token. */
  readonly logits: 'none' | 'last' | 'all';
  /** Reads the caches, which already hold this pass's keys and values. q, out: act [rows * queryLen, Hq * d]. */
  attend(layer: number, q: DeviceTensor, out: DeviceTensor): void;
}

interface Scratch {
  readonly ids: DeviceTensor;
  readonly positions: DeviceTensor;
  readonly hidden: DeviceTensor;
  readonly normed: DeviceTensor;
  readonly qkv: DeviceTensor;
  readonly q: DeviceTensor;
  readonly attended: DeviceTensor;
  readonly gateUp: DeviceTensor | undefined;
  readonly gated: DeviceTensor;
}

/** The decoder's layer loop. One per open model; not re-entrant. */
export interface Transformer {
  readonly layout: LayoutId;
  /** Returns logits f32 [rows or rows * queryLen, vocabSize], valid until the next pass; undefined for `none`. */
  run(pass: Pass): DeviceTensor | undefined;
  newCache(): CacheId;
  /** Frees scratch and tables; weights belong to the caller. */
  dispose(): void;
}

/** Scratch sets kept: one for the prefill chunk, the question, the batch and its tail. */
const MAX_SCRATCH_SETS = 4;

export const createTransformer = (device: Device, arch: Architecture, weights: ModelWeights): Transformer => {
  const { addon } = device;
  const first = arch.layers[0]!;
  const activation = arch.activation === 'silu' ? 0 : 1;
  const layout = addon.cacheLayout(
    Int32Array.from(arch.layers, (l) => l.numKvHeads),
    Int32Array.from(arch.layers, (l) => l.headDim),
    Int32Array.from(arch.layers, (l) => l.headDimV),
  );
  const scratchSets = new Map<number, Scratch>();
  const logitSets = new Map<number, { rows: DeviceTensor; normed: DeviceTensor; logits: DeviceTensor }>();
  let rope: DeviceTensor | undefined;

  const freeAll = (set: object): void => {
    for (const t of Object.values(set) as (DeviceTensor | undefined)[]) if (t !== undefined) device.free(t);
  };

  const scratchFor = (tokens: number): Scratch => {
    const known = scratchSets.get(tokens);
    if (known !== undefined) {
      scratchSets.delete(tokens);
      scratchSets.set(tokens, known);
      return known;
    }
    if (scratchSets.size >= MAX_SCRATCH_SETS) {
      const [oldest, set] = scratchSets.entries().next().value!;
      scratchSets.delete(oldest);
      freeAll(set);
    }
    const qWidth = first.numQueryHeads * first.headDim;
    const made: Scratch = {
      ids: device.lasting('i32', [tokens]),
      positions: device.lasting('i32', [tokens]),
      hidden: device.lasting('f32', [tokens, arch.hiddenSize]),
      normed: device.lasting(device.act, [tokens, arch.hiddenSize]),
      qkv: device.lasting('f32', [tokens, qWidth + first.numKvHeads * (first.headDim + first.headDimV)]),
      q: device.lasting(device.act, [tokens, qWidth]),
      attended: device.lasting(device.act, [tokens, first.numQueryHeads * first.headDimV]),
      gateUp: weights.gateUpWoven ? undefined : device.lasting('f32', [tokens, 2 * arch.ffnSize]),
      gated: device.lasting(device.act, [tokens, arch.ffnSize]),
    };
    scratchSets.set(tokens, made);
    return made;
  };

  const logitsFor = (rows: number) => {
    let set = logitSets.get(rows);
    if (set === undefined) {
      if (logitSets.size >= MAX_SCRATCH_SETS) {
        const [oldest, old] = logitSets.entries().next().value!;
        logitSets.delete(oldest);
        freeAll(old);
      }
      set = {
        rows: device.lasting('f32', [rows, arch.hiddenSize]),
        normed: device.lasting(device.act, [rows, arch.hiddenSize]),
        logits: device.lasting('f32', [rows, arch.vocabSize]),
      };
      logitSets.set(rows, set);
    }
    return set;
  };

  /** cos and sin of every position up to `positions`, grown by doubling. */
  const ropeTable = (positions: number): DeviceTensor => {
    if (rope !== undefined && rope.shape[0]! >= positions) return rope;
    let rows = 4096;
    while (rows < positions) rows *= 2;
    const table = arch.rotaryTable(rows);
    if (rope !== undefined) device.free(rope);
    rope = device.lasting('f32', [rows, table.length / rows]);
    addon.upload(rope.id, table);
    return rope;
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
    let lastPosition = 0;
    for (const position of pass.positions) if (position > lastPosition) lastPosition = position;
    const cosSin = ropeTable(lastPosition + 1);
    const s = scratchFor(tokens);
    const step = pass.isStep ? 1 : 0;
    addon.upload(s.ids.id, pass.ids);
    addon.upload(s.positions.id, pass.positions);
    addon.embed(weights.embedding, s.ids.id, arch.embeddingScale, s.hidden.id);

    weights.layers.forEach((w, layer) => {
      const shape = arch.layers[layer]!;
      addon.rmsNorm(s.hidden.id, w.attentionNorm, arch.normEps, arch.normGainOffset, s.normed.id);
      addon.linear(s.normed.id, w.qkv, w.qkvBias, 0, s.qkv.id, step);
      addon.ropeAppend(
        s.qkv.id,
        s.positions.id,
        cosSin.id,
        shape.numQueryHeads,
        pass.caches,
        layer,
        0,
        w.qNorm,
        w.kNorm,
        arch.normEps,
        s.q.id,
      );
      pass.attend(layer, s.q, s.attended);
      addon.linear(s.attended.id, w.output, 0, 1, s.hidden.id, step);
      addon.rmsNorm(s.hidden.id, w.ffnNorm, arch.normEps, arch.normGainOffset, s.normed.id);
      if (s.gateUp === undefined) addon.linearGated(s.normed.id, w.gateUp, activation, s.gated.id, step);
      else {
        addon.linear(s.normed.id, w.gateUp, 0, 0, s.gateUp.id, step);
        addon.gatedActivation(s.gateUp.id, activation, s.gated.id);
      }
      addon.linear(s.gated.id, w.down, 0, 1, s.hidden.id, step);
    });

    if (pass.logits === 'none') return undefined;
    const wanted = pass.logits === 'all' ? tokens : rows;
    const out = logitsFor(wanted);
    if (pass.logits === 'all' || pass.queryLen === 1) addon.copyRows(s.hidden.id, 0, out.rows.id, 0, wanted);
    else
      for (let row = 0; row < rows; row++)
        addon.copyRows(s.hidden.id, (row + 1) * pass.queryLen - 1, out.rows.id, row, 1);
    addon.rmsNorm(out.rows.id, weights.finalNorm, arch.normEps, arch.normGainOffset, out.normed.id);
    addon.linear(out.normed.id, weights.head, 0, 0, out.logits.id, step);
    return out.logits;
  };

  const dispose = (): void => {
    for (const set of [...scratchSets.values(), ...logitSets.values()]) freeAll(set);
    scratchSets.clear();
    logitSets.clear();
    if (rope !== undefined) device.free(rope);
    rope = undefined;
  };

  return { layout, run, newCache: () => addon.cacheCreate(layout), dispose };
};
