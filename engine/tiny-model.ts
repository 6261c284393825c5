/** Small random Llama models for tests: the same seed gives the same weights in every format, on every machine. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom } from '../core/random.js';
import type { WeightType } from '../native/addon-types.js';
import { type ExpectedTensor, expectedTensors } from './checkpoint-names.js';
import type { ModelConfig } from './config.js';
import { familyParts } from './config-families.js';
import type { RopeScaling } from './config-scaling.js';
import { type FileTensor, type FileValue, ggufBytes, safetensorsBytes } from './tiny-model-files.js';
import { encodeWeights } from './tiny-model-quantise.js';
import { tinyChatTemplate, tinyStopId, tinyTokenizerJson, tinyVocabulary } from './tiny-model-tokenizer.js';

export interface TinyModelOptions {
  readonly format: 'gguf' | 'safetensors';
  readonly layers: number;
  readonly hiddenSize: number;
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
  /** At least 259: three markers and all bytes. */
  readonly vocab: number;
  readonly seed: number;
  /** Storage of matrices; norms are F32. Block types exist in GGUF only and need rows of a multiple of 32. */
  readonly type: WeightType;
  readonly tiedEmbeddings: boolean;
  readonly ropeTheta: number;
  /** GGUF cannot hold `llama3` (its files hold `factors`), config.json cannot hold `factors`. */
  readonly ropeScaling: RopeScaling;
  readonly maxPositions: number;
  /** Weight files. */
  readonly shards: number;
}

const defaults: TinyModelOptions = {
  format: 'gguf',
  layers: 2,
  hiddenSize: 64,
  queryHeads: 4,
  kvHeads: 1,
  headDim: 16,
  ffn: 96,
  vocab: 300,
  seed: 1,
  type: 'F32',
  tiedEmbeddings: true,
  ropeTheta: 10_000,
  ropeScaling: { kind: 'none' },
  maxPositions: 8_192,
  shards: 1,
};

/** Writes a model into `dir` (made if absent); returns the path to open: `dir/tiny.gguf`, or `dir` itself for safetensors. */
export function writeTinyModel(dir: string, options: Partial<TinyModelOptions> = {}): string {
  const model = { ...defaults, ...options };
  if (model.vocab < 259) throw new RangeError(`vocab: at least 259, got ${model.vocab}`);
  mkdirSync(dir, { recursive: true });
  const config = tinyConfig(model);
  if (model.format === 'gguf') {
    const path = join(dir, 'tiny.gguf');
    const factors =
      model.ropeScaling.kind === 'factors'
        ? [vectorTensor('rope_freqs.weight', Float32Array.from(model.ropeScaling.factors))]
        : [];
    const tensors = [...tinyTensors(config, model), ...factors];
    const metadata = ggufMetadata(config, model);
    if (model.shards > 1) return writeGgufShards(dir, metadata, tensors, model.shards);
    writeFileSync(path, ggufBytes(metadata, tensors));
    return path;
  }
  writeDirectory(dir, config, model);
  return dir;
}

/** Metadata in the first file, tensors dealt out in turn; returns the path of the first. */
function writeGgufShards(
  dir: string,
  metadata: Record<string, FileValue>,
  tensors: readonly FileTensor[],
  count: number,
): string {
  const path = (shard: number): string => {
    const [number, total] = [shard + 1, count].map((value) => String(value).padStart(5, '0'));
    return join(dir, `tiny-${number}-of-${total}.gguf`);
  };
  for (let shard = 0; shard < count; shard++) {
    const split: Record<string, FileValue> = {
      'split.no': { u32: shard },
      'split.count': { u32: count },
      'split.tensors.count': { u32: tensors.length },
    };
    const own = tensors.filter((_, index) => index % count === shard);
    writeFileSync(path(shard), ggufBytes(shard === 0 ? { ...metadata, ...split } : split, own));
  }
  return path(0);
}

export function tinyConfig(options: Partial<TinyModelOptions> = {}): ModelConfig {
  const model = { ...defaults, ...options };
  return {
    architecture: 'llama',
    name: 'tiny',
    numLayers: model.layers,
    hiddenSize: model.hiddenSize,
    ffnSize: model.ffn,
    numQueryHeads: model.queryHeads,
    numKvHeads: model.kvHeads,
    headDim: model.headDim,
    ropeDims: model.headDim,
    ropeTheta: model.ropeTheta,
    ropeScaling: model.ropeScaling,
    softmaxScale: 1 / Math.sqrt(model.headDim),
    normEpsilon: 1e-5,
    normGainOffset: 0,
    ...familyParts.llama,
    embeddingScale: 1,
    activation: 'silu',
    vocabSize: model.vocab,
    tiedEmbeddings: model.tiedEmbeddings,
    maxPositions: model.maxPositions,
  };
}

/** All tensors under the names of the format, encoded. */
export function tinyTensors(
  config: ModelConfig,
  { format, seed, type }: Pick<TinyModelOptions, 'format' | 'seed' | 'type'>,
): FileTensor[] {
  return expectedTensors(config).map((expected) => {
    const values = tinyValues(expected, seed);
    const name = format === 'gguf' ? expected.gguf : expected.huggingFace;
    if (expected.shape.length === 1) return vectorTensor(name, values);
    const stored = format === 'gguf' && expected.rotaryHeads > 0 ? interleaveRows(values, expected) : values;
    return { name, type, shape: expected.shape, bytes: encodeWeights(stored, type) };
  });
}

const vectorTensor = (name: string, values: Float32Array): FileTensor => ({
  name,
  type: 'F32',
  shape: [values.length],
  bytes: encodeWeights(values, 'F32'),
});

/** Near normal (a sum of four uniforms), scaled so that activations and logits stay near 1; gains lie around 1. */
function tinyValues(expected: ExpectedTensor, seed: number): Float32Array {
  const random = createRandom('tiny-model', seed, expected.name);
  const isGain = expected.shape.length === 1;
  const columns = expected.shape[1] ?? 1;
  const scale = isGain ? 0.1 : expected.name === 'embedding' ? 0.5 : 1.5 / Math.sqrt(columns);
  const values = new Float32Array(expected.shape.reduce((product, size) => product * size, 1));
  for (let index = 0; index < values.length; index++) {
    const sum = random.float() + random.float() + random.float() + random.float() - 2;
    values[index] = (isGain ? 1 : 0) + scale * Math.sqrt(3) * sum;
  }
  return values;
}

/** Row order of GGUF's llama: rotary pairs (i, i + d/2) of a head stand side by side. */
function interleaveRows(values: Float32Array, { shape, rotaryHeads }: ExpectedTensor): Float32Array {
  const [rows, columns] = shape as [number, number];
  const headDim = rows / rotaryHeads;
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const inHead = row % headDim;
    const pair = inHead % (headDim / 2);
    const target = row - inHead + 2 * pair + (inHead < headDim / 2 ? 0 : 1);
    out.set(values.subarray(row * columns, (row + 1) * columns), target * columns);
  }
  return out;
}

function ggufMetadata(config: ModelConfig, { vocab, ropeScaling }: TinyModelOptions): Record<string, FileValue> {
  const { tokens, merges } = tinyVocabulary(vocab);
  if (ropeScaling.kind === 'llama3') throw new RangeError('GGUF holds llama3 scaling as factors');
  const scaling: Record<string, FileValue> =
    ropeScaling.kind === 'linear'
      ? { 'llama.rope.scaling.type': { text: 'linear' }, 'llama.rope.scaling.factor': { f32: ropeScaling.factor } }
      : {};
  return {
    'general.architecture': { text: 'llama' },
    'general.name': { text: config.name },
    'llama.block_count': { u32: config.numLayers },
    'llama.context_length': { u32: config.maxPositions },
    'llama.embedding_length': { u32: config.hiddenSize },
    'llama.feed_forward_length': { u32: config.ffnSize },
    'llama.attention.head_count': { u32: config.numQueryHeads },
    'llama.attention.head_count_kv': { u32: config.numKvHeads },
    'llama.attention.key_length': { u32: config.headDim },
    'llama.attention.value_length': { u32: config.headDim },
    'llama.attention.layer_norm_rms_epsilon': { f32: config.normEpsilon },
    'llama.rope.freq_base': { f32: config.ropeTheta },
    'llama.rope.dimension_count': { u32: config.ropeDims },
    ...scaling,
    'tokenizer.ggml.model': { text: 'gpt2' },
    'tokenizer.ggml.pre': { text: 'smollm' },
    'tokenizer.ggml.tokens': { texts: tokens },
    'tokenizer.ggml.token_type': { i32s: tokens.map((_, id) => (id < 3 ? 3 : 1)) },
    'tokenizer.ggml.merges': { texts: merges },
    'tokenizer.ggml.bos_token_id': { u32: 1 },
    'tokenizer.ggml.eos_token_id': { u32: tinyStopId },
    'tokenizer.ggml.add_bos_token': { bool: false },
    'tokenizer.chat_template': { text: tinyChatTemplate },
  };
}

function writeDirectory(dir: string, config: ModelConfig, model: TinyModelOptions): void {
  const json = (name: string, value: object): void =>
    writeFileSync(join(dir, name), `${JSON.stringify(value, undefined, 2)}\n`);
  json('config.json', huggingFaceConfig(config));
  json('tokenizer.json', tinyTokenizerJson(model.vocab));
  json('tokenizer_config.json', {
    bos_token: '<|im_start|>',
    eos_token: '<|im_end|>',
    chat_template: tinyChatTemplate,
    clean_up_tokenization_spaces: false,
  });
  const tensors = tinyTensors(config, model);
  if (model.shards === 1) {
    writeFileSync(join(dir, 'model.safetensors'), safetensorsBytes(tensors));
    return;
  }
  const weightMap: Record<string, string> = {};
  for (let shard = 0; shard < model.shards; shard++) {
    const name = `model-${String(shard + 1).padStart(5, '0')}-of-${String(model.shards).padStart(5, '0')}.safetensors`;
    const own = tensors.filter((_, index) => index % model.shards === shard);
    for (const tensor of own) weightMap[tensor.name] = name;
    writeFileSync(join(dir, name), safetensorsBytes(own));
  }
  json('model.safetensors.index.json', { metadata: {}, weight_map: weightMap });
}

function huggingFaceConfig(config: ModelConfig): object {
  const { ropeScaling } = config;
  const scaling = scalingJson(ropeScaling);
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    num_hidden_layers: config.numLayers,
    hidden_size: config.hiddenSize,
    intermediate_size: config.ffnSize,
    num_attention_heads: config.numQueryHeads,
    num_key_value_heads: config.numKvHeads,
    head_dim: config.headDim,
    max_position_embeddings: config.maxPositions,
    rms_norm_eps: config.normEpsilon,
    rope_theta: config.ropeTheta,
    rope_scaling: scaling,
    vocab_size: config.vocabSize,
    tie_word_embeddings: config.tiedEmbeddings,
    attention_bias: false,
    mlp_bias: false,
    bos_token_id: 1,
    eos_token_id: tinyStopId,
    torch_dtype: 'float32',
  };
}

/** The scaling in the words of `config.json`. */
function scalingJson(scaling: RopeScaling): object | null {
  switch (scaling.kind) {
    case 'none':
      return null;
    case 'linear':
      return { rope_type: 'linear', factor: scaling.factor };
    case 'dynamic':
      return { rope_type: 'dynamic', factor: scaling.factor };
    case 'llama3':
      return {
        rope_type: 'llama3',
        factor: scaling.factor,
        low_freq_factor: scaling.lowFrequencyFactor,
        high_freq_factor: scaling.highFrequencyFactor,
        original_max_position_embeddings: scaling.originalMaxPositions,
      };
    case 'yarn':
      return {
        rope_type: 'yarn',
        factor: scaling.factor,
        original_max_position_embeddings: scaling.originalMaxPositions,
        attention_factor: scaling.attentionFactor,
        beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow,
        truncate: scaling.truncate,
      };
    case 'longrope':
      return {
        rope_type: 'longrope',
        short_factor: scaling.shortFactors,
        long_factor: scaling.longFactors,
        original_max_position_embeddings: scaling.originalMaxPositions,
        attention_factor: scaling.attentionFactor,
      };
    case 'factors':
      throw new RangeError('config.json cannot hold factors');
  }
}
