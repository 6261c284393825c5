/** BERT-like encoders as ONNX graphs of plain operators (Devlin et al. 2018; RoBERTa, XLM-R and DistilBERT differ in names and heads). */
import { type BuiltGraph, createGraph, type GraphBuilder, type Value } from '../ort/graph.js';
import type { EncoderConfig } from './config.js';
import type { EncoderWeights } from './weights.js';

/** Inputs i64 [B, T]; outputs: `hidden` f32 [B, T, D] of vectors, `logits` f32 [B, L] of pairs, [B, T, L] of tokens. */
export const encoderNames = {
  ids: 'input_ids',
  mask: 'attention_mask',
  types: 'token_type_ids',
  hidden: 'last_hidden_state',
  logits: 'logits',
} as const;

/** Names of one layer's parts, by family. */
interface LayerNames {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly output: string;
  readonly attentionNorm: string;
  readonly up: string;
  readonly down: string;
  readonly ffnNorm: string;
}

const bertLayer = (layer: number): LayerNames => {
  const at = `encoder.layer.${layer}`;
  return {
    query: `${at}.attention.self.query`,
    key: `${at}.attention.self.key`,
    value: `${at}.attention.self.value`,
    output: `${at}.attention.output.dense`,
    attentionNorm: `${at}.attention.output.LayerNorm`,
    up: `${at}.intermediate.dense`,
    down: `${at}.output.dense`,
    ffnNorm: `${at}.output.LayerNorm`,
  };
};
const distilLayer = (layer: number): LayerNames => {
  const at = `transformer.layer.${layer}`;
  return {
    query: `${at}.attention.q_lin`,
    key: `${at}.attention.k_lin`,
    value: `${at}.attention.v_lin`,
    output: `${at}.attention.out_lin`,
    attentionNorm: `${at}.sa_layer_norm`,
    up: `${at}.ffn.lin1`,
    down: `${at}.ffn.lin2`,
    ffnNorm: `${at}.output_layer_norm`,
  };
};

export const buildEncoder = (config: EncoderConfig, weights: EncoderWeights): BuiltGraph => {
  const { hiddenSize, numHeads, ffnSize, family, task } = config;
  const g = createGraph('encoder');
  const ids = g.input(encoderNames.ids, 'i64', ['B', 'T']);
  const mask = g.input(encoderNames.mask, 'i64', ['B', 'T']);

  const load = (name: string, ...shape: number[]): Value => g.weight(name, weights.tensor(name, shape), shape);
  /** x [N, cols] to [N, rows]. */
  const linear = (x: Value, name: string, rows: number, cols: number): Value =>
    g.node('Gemm', [x, load(`${name}.weight`, rows, cols), load(`${name}.bias`, rows)], { transB: 1 });
  const norm = (x: Value, name: string): Value =>
    g.node('LayerNormalization', [x, load(`${name}.weight`, hiddenSize), load(`${name}.bias`, hiddenSize)], {
      axis: -1,
      'epsilon:f': config.normEpsilon,
    });
  const table = (name: string, rows: number): Value => load(`embeddings.${name}.weight`, rows, hiddenSize);

  const length = g.node('Squeeze', [g.node('Shape', [ids], { start: 1, end: 2 })]);
  const first = g.int(config.firstPosition);
  const positions = g.node('Range', [first, g.node('Add', [length, first]), g.int(1)]);
  const words = g.node('Gather', [table('word_embeddings', config.vocabSize), ids]);
  const places = g.node('Gather', [table('position_embeddings', config.firstPosition + config.maxTokens), positions]);
  let embedded = g.node('Add', [words, places]);
  if (config.tokenTypes > 0) {
    const types = g.input(encoderNames.types, 'i64', ['B', 'T']);
    embedded = g.node('Add', [embedded, g.node('Gather', [table('token_type_embeddings', config.tokenTypes), types])]);
  }
  // Rows of tokens [B * T, D]: linear layers see no batches.
  let hidden = norm(g.node('Reshape', [embedded, g.ints(-1, hiddenSize)]), 'embeddings.LayerNorm');

  const visible = g.node('Unsqueeze', [g.node('Equal', [mask, g.int(1)]), g.ints(1, 2)]);
  const shape = g.node('Shape', [ids]);
  const headDim = hiddenSize / numHeads;
  /** [B * T, D] to [B, H, T, d]. */
  const heads = (x: Value, perm: readonly number[]): Value =>
    g.node('Transpose', [g.node('Reshape', [x, g.node('Concat', [shape, g.ints(numHeads, headDim)], { axis: 0 })])], {
      perm,
    });
  for (let layer = 0; layer < config.numLayers; layer++) {
    const names = family === 'distilbert' ? distilLayer(layer) : bertLayer(layer);
    const query = heads(linear(hidden, names.query, hiddenSize, hiddenSize), [0, 2, 1, 3]);
    const key = heads(linear(hidden, names.key, hiddenSize, hiddenSize), [0, 2, 3, 1]);
    const value = heads(linear(hidden, names.value, hiddenSize, hiddenSize), [0, 2, 1, 3]);
    const scores = g.node('Mul', [g.node('MatMul', [query, key]), g.scalar(1 / Math.sqrt(headDim))]);
    const masked = g.node('Where', [visible, scores, g.scalar(Number.NEGATIVE_INFINITY)]);
    const mixed = g.node('MatMul', [g.node('Softmax', [masked], { axis: -1 }), value]);
    const flat = g.node('Reshape', [g.node('Transpose', [mixed], { perm: [0, 2, 1, 3] }), g.ints(-1, hiddenSize)]);
    const attended = linear(flat, names.output, hiddenSize, hiddenSize);
    hidden = norm(g.node('Add', [hidden, attended]), names.attentionNorm);
    const wide = activate(g, linear(hidden, names.up, ffnSize, hiddenSize), config.activation);
    hidden = norm(g.node('Add', [hidden, linear(wide, names.down, hiddenSize, ffnSize)]), names.ffnNorm);
  }

  /** Rows [B * T, width] as [B, T, width]. */
  const perToken = (x: Value, width: number): Value =>
    g.node('Reshape', [x, g.node('Concat', [shape, g.ints(width)], { axis: 0 })]);
  const classes = config.labels.length;
  if (task === 'vectors') {
    g.output(encoderNames.hidden, perToken(hidden, hiddenSize), 'f32', ['B', 'T', hiddenSize]);
  } else if (task === 'tokens') {
    const logits = linear(hidden, 'classifier', classes, hiddenSize);
    g.output(encoderNames.logits, perToken(logits, classes), 'f32', ['B', 'T', classes]);
  } else {
    const start = g.node('Gather', [perToken(hidden, hiddenSize), g.int(0)], { axis: 1 });
    const [dense, bend, out] = pairHeads[family];
    const pooled = g.node(bend, [linear(start, dense, hiddenSize, hiddenSize)]);
    g.output(encoderNames.logits, linear(pooled, out, classes, hiddenSize), 'f32', ['B', classes]);
  }
  return g.build();
};

/** What stands between a pair's first hidden state and its scores: a layer, its activation, and the last layer. */
const pairHeads = {
  bert: ['pooler.dense', 'Tanh', 'classifier'],
  roberta: ['classifier.dense', 'Tanh', 'classifier.out_proj'],
  distilbert: ['pre_classifier', 'Relu', 'classifier'],
} as const;

const activate = (g: GraphBuilder, x: Value, kind: EncoderConfig['activation']): Value =>
  kind === 'relu' ? g.node('Relu', [x]) : g.node('Gelu', [x], { approximate: kind === 'gelu-tanh' ? 'tanh' : 'none' });
