/** A whole decoder as one ONNX graph of plain operators: no fused attention, nothing shared with the native kernels. */
import type { LayerShape } from '../../methods/contract.js';
import type { ModelConfig } from '../config.js';
import type { Architecture } from '../core/transformer.js';
import { type BuiltGraph, createGraph, type GraphBuilder, type Value } from './graph.js';

/** Names of the graph's inputs and outputs. T new tokens, P past tokens, R rows of logits; H and d of the layer. */
export const decoderNames = {
  /** i64 [T]. */
  ids: 'ids',
  /** i64 [T]: ascending, the first is P. */
  positions: 'positions',
  /** i64 [R]: which of the T tokens give logits. */
  wanted: 'wanted',
  /** f32 [T, ropeDims / 2] of the new tokens, by rotary embedding. */
  cos: (embedding: number) => `cos.${embedding}`,
  sin: (embedding: number) => `sin.${embedding}`,
  /** f32 [P, H * d], keys rotated. */
  pastKeys: (layer: number) => `past.keys.${layer}`,
  pastValues: (layer: number) => `past.values.${layer}`,
  /** f32 [T, H * d] to be appended by the caller: the past itself is never copied out. */
  newKeys: (layer: number) => `new.keys.${layer}`,
  newValues: (layer: number) => `new.values.${layer}`,
  /** f32 [R, vocabSize]. */
  logits: 'logits',
} as const;

/** f32 row-major tensor by the names of checkpoint-names.ts. */
export type FloatTensor = (name: string) => Float32Array;

/** Parts that not every family has. */
type Recipe = Pick<ModelConfig, 'tiedEmbeddings' | 'normGainOffset' | 'qkvBias' | 'qkNorm' | 'postNorms'>;

export const buildDecoder = (arch: Architecture, tensor: FloatTensor, recipe: Recipe): BuiltGraph => {
  const g = createGraph('decoder');
  const ids = g.input(decoderNames.ids, 'i64', ['T']);
  const positions = g.input(decoderNames.positions, 'i64', ['T']);
  const wanted = g.input(decoderNames.wanted, 'i64', ['R']);
  const rotary = arch.rotary.map((_, embedding): Angles => {
    const half = arch.layers[arch.blocks.findIndex((block) => block.rotary === embedding)]!.ropeDims / 2;
    // A token's angles are the same for all heads: [T, 1, ropeDims / 2].
    const angle = (name: string): Value => g.node('Unsqueeze', [g.input(name, 'f32', ['T', half]), g.ints(1)]);
    return { cos: angle(decoderNames.cos(embedding)), sin: angle(decoderNames.sin(embedding)) };
  });
  const visible = visibility(g, positions);

  const matrix = (name: string, rows: number, cols: number): Value => g.weight(name, tensor(name), [rows, cols]);
  const linear = (x: Value, name: string, rows: number, cols: number, hasBias = false): Value => {
    const bias = hasBias ? [g.weight(`${name}.bias`, tensor(`${name}.bias`), [rows])] : [];
    return g.node('Gemm', [x, matrix(name, rows, cols), ...bias], { transB: 1 });
  };
  const norm = (x: Value, name: string, width = arch.hiddenSize): Value =>
    rmsNorm(g, x, g.weight(name, tensor(name), [width]), arch.normEps, recipe.normGainOffset);
  /** What a part of a layer gives joins the hidden states, normed first where there is a norm. */
  const add = (hidden: Value, part: Value, postNorm: string): Value =>
    g.node('Add', [hidden, recipe.postNorms ? norm(part, postNorm) : part]);

  const attention = (hidden: Value, layer: number): Value => {
    const shape = arch.layers[layer]!;
    const { numQueryHeads, numKvHeads, headDim, headDimV } = shape;
    const at = `layers.${layer}.attention`;
    const normed = norm(hidden, `${at}.norm`);
    const project = (what: string, heads: number, width: number): Value =>
      g.node('Reshape', [
        linear(normed, `${at}.${what}`, heads * width, arch.hiddenSize, recipe.qkvBias),
        g.ints(-1, heads, width),
      ]);
    const rotated = (what: 'q' | 'k', heads: number): Value => {
      const x = project(what, heads, headDim);
      const perHead = recipe.qkNorm ? norm(x, `${at}.${what}.norm`, headDim) : x;
      return rotate(g, perHead, shape, rotary[arch.blocks[layer]!.rotary]!);
    };
    const q = rotated('q', numQueryHeads);
    const k = rotated('k', numKvHeads);
    const v = project('v', numKvHeads, headDimV);
    const keys = append(g, k, decoderNames.pastKeys(layer), decoderNames.newKeys(layer), numKvHeads, headDim);
    const values = append(g, v, decoderNames.pastValues(layer), decoderNames.newValues(layer), numKvHeads, headDimV);
    const attended = attend(g, shape, q, keys, values, visible(keys, shape.slidingWindow));
    const mixed = linear(attended, `${at}.output`, arch.hiddenSize, numQueryHeads * headDimV);
    return add(hidden, mixed, `${at}.postNorm`);
  };
  const feedForward = (hidden: Value, layer: number): Value => {
    const at = `layers.${layer}.ffn`;
    const { ffnSize } = arch.blocks[layer]!;
    const normed = norm(hidden, `${at}.norm`);
    const gate = activate(g, linear(normed, `${at}.gate`, ffnSize, arch.hiddenSize), arch.activation);
    const up = linear(normed, `${at}.up`, ffnSize, arch.hiddenSize);
    const down = linear(g.node('Mul', [gate, up]), `${at}.down`, arch.hiddenSize, ffnSize);
    return add(hidden, down, `${at}.postNorm`);
  };

  const embedding = matrix('embedding', arch.vocabSize, arch.hiddenSize);
  let hidden = g.node('Gather', [embedding, ids]);
  if (arch.embeddingScale !== 1) hidden = g.node('Mul', [hidden, g.scalar(arch.embeddingScale)]);
  arch.layers.forEach(({ mixer }, layer) => {
    if (mixer === 'softmax') hidden = attention(hidden, layer);
    hidden = feedForward(hidden, layer);
  });

  const rows = norm(g.node('Gather', [hidden, wanted]), 'output.norm');
  const head = recipe.tiedEmbeddings ? embedding : matrix('output', arch.vocabSize, arch.hiddenSize);
  const logits = g.node('Gemm', [rows, head], { transB: 1 });
  const capped = arch.finalSoftCap > 0 ? softCapped(g, logits, arch.finalSoftCap) : logits;
  g.output(decoderNames.logits, capped, 'f32', ['R', arch.vocabSize]);
  return g.build();
};

/** [T, 1, ropeDims / 2] each. */
interface Angles {
  readonly cos: Value;
  readonly sin: Value;
}

/** cap * tanh(x / cap). */
const softCapped = (g: GraphBuilder, x: Value, cap: number): Value =>
  g.node('Mul', [g.node('Tanh', [g.node('Div', [x, g.scalar(cap)])]), g.scalar(cap)]);

/** x [., D] * rsqrt(mean(x^2) + eps) * (gain + offset). */
const rmsNorm = (g: GraphBuilder, x: Value, gain: Value, eps: number, offset: number): Value => {
  const mean = g.node('ReduceMean', [g.node('Mul', [x, x]), g.ints(-1)], { keepdims: 1 });
  const root = g.node('Sqrt', [g.node('Add', [mean, g.scalar(eps)])]);
  const scale = offset === 0 ? gain : g.node('Add', [gain, g.scalar(offset)]);
  return g.node('Mul', [g.node('Div', [x, root]), scale]);
};

/** Rotates the first ropeDims channels of x [T, heads, d] in pairs (i, i + ropeDims / 2). */
const rotate = (g: GraphBuilder, x: Value, { headDim, ropeDims }: LayerShape, { cos, sin }: Angles): Value => {
  const half = ropeDims / 2;
  const rest = headDim - ropeDims;
  const sizes = rest > 0 ? [half, half, rest] : [half, half];
  const [a, b, ...kept] = g.nodes('Split', [x, g.ints(...sizes)], sizes.length, { axis: -1 });
  const first = g.node('Sub', [g.node('Mul', [a!, cos]), g.node('Mul', [b!, sin])]);
  const second = g.node('Add', [g.node('Mul', [b!, cos]), g.node('Mul', [a!, sin])]);
  return g.node('Concat', [first, second, ...kept], { axis: -1 });
};

/** Past and new rows as [P + T, H, d]; the new ones are an output of the graph. */
const append = (
  g: GraphBuilder,
  fresh: Value,
  pastName: string,
  newName: string,
  heads: number,
  width: number,
): Value => {
  const flat = g.node('Reshape', [fresh, g.ints(-1, heads * width)]);
  g.output(newName, flat, 'f32', ['T', heads * width]);
  const all = g.node('Concat', [g.input(pastName, 'f32', ['P', heads * width]), flat], { axis: 0 });
  return g.node('Reshape', [all, g.ints(-1, heads, width)]);
};

/** Which keys each query sees, bool [T, P + T]: causal, and no further back than the window. One mask for each window. */
const visibility = (g: GraphBuilder, positions: Value): ((keys: Value, window: number | undefined) => Value) => {
  const masks = new Map<number, Value>();
  return (keys, window = 0) => {
    let mask = masks.get(window);
    if (mask === undefined) {
      const count = g.node('Squeeze', [g.node('Shape', [keys], { start: 0, end: 1 })]);
      const keyAt = g.node('Range', [g.int(0), count, g.int(1)]);
      const distance = g.node('Sub', [g.node('Unsqueeze', [positions, g.ints(1)]), keyAt]);
      mask = g.node('GreaterOrEqual', [distance, g.int(0)]);
      if (window > 0) mask = g.node('And', [mask, g.node('Less', [distance, g.int(window)])]);
      masks.set(window, mask);
    }
    return mask;
  };
};

/** Softmax attention with one group of query heads for each KV head; q [T, Hq, d], keys [S, H, d], values [S, H, dv] to [T, Hq * dv]. */
const attend = (g: GraphBuilder, shape: LayerShape, q: Value, keys: Value, values: Value, mask: Value): Value => {
  const { numQueryHeads, numKvHeads, headDim, headDimV, softCap } = shape;
  const group = numQueryHeads / numKvHeads;
  // [T, H, G, d] to [H, G, T, d]: the queries of a KV head meet the same keys.
  const grouped = g.node('Transpose', [g.node('Reshape', [q, g.ints(-1, numKvHeads, group, headDim)])], {
    perm: [1, 2, 0, 3],
  });
  const stacked = g.node('Reshape', [grouped, g.ints(numKvHeads, -1, headDim)]);
  const products = g.node('MatMul', [stacked, g.node('Transpose', [keys], { perm: [1, 2, 0] })]);
  const scaled = g.node('Mul', [products, g.scalar(shape.softmaxScale)]);
  const scores = softCap === undefined ? scaled : softCapped(g, scaled, softCap);
  // [H, G * T, S] to [H, G, T, S]: 0 copies the first size, and T follows from the mask.
  const tokens = g.node('Shape', [mask]);
  const split = g.node('Reshape', [scores, g.node('Concat', [g.ints(numKvHeads, group), tokens], { axis: 0 })]);
  const masked = g.node('Where', [mask, split, g.scalar(Number.NEGATIVE_INFINITY)]);
  const shares = g.node('Softmax', [masked], { axis: -1 });
  const flat = g.node('Reshape', [
    shares,
    g.node('Concat', [g.ints(numKvHeads, -1), g.node('Shape', [mask], { start: 1, end: 2 })], { axis: 0 }),
  ]);
  const mixed = g.node('MatMul', [flat, g.node('Transpose', [values], { perm: [1, 0, 2] })]);
  const perHead = g.node('Reshape', [
    mixed,
    g.node('Concat', [g.ints(numKvHeads, group), g.node('Shape', [mask], { start: 0, end: 1 }), g.ints(headDimV)], {
      axis: 0,
    }),
  ]);
  const back = g.node('Transpose', [perHead], { perm: [2, 0, 1, 3] });
  return g.node('Reshape', [back, g.ints(-1, numQueryHeads * headDimV)]);
};

const activate = (g: GraphBuilder, x: Value, kind: Architecture['activation']): Value =>
  kind === 'silu' ? g.node('Mul', [x, g.node('Sigmoid', [x])]) : g.node('Gelu', [x], { approximate: 'tanh' });
