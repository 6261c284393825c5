/** Small random models of every family for tests: the same seed gives the same weights in every format, on every machine. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom } from '../core/random.js';
import type { WeightType } from '../native/addon-types.js';
import { type ExpectedTensor, expectedTensors } from './checkpoint-names.js';
import type { Family, ModelConfig } from './config.js';
import { familyParts, isGemma, slidingLayersByPeriod, slidingPeriod } from './config-families.js';
import type { RopeScaling } from './config-scaling.js';
import { ggufMetadata, huggingFaceConfig } from './tiny-model-config.js';
import { type FileTensor, type FileValue, ggufBytes, safetensorsBytes } from './tiny-model-files.js';
import { encodeWeights } from './tiny-model-quantise.js';
import { tinyTokenizerFiles } from './tiny-model-tokenizer.js';

export interface TinyModelOptions {
  readonly family: Family;
  readonly format: 'gguf' | 'safetensors';
  readonly layers: number;
  readonly hiddenSize: number;
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Rotated channels; absent: all. */
  readonly ropeDims?: number;
  readonly ffn: number;
  /** At least 262: the markers of a family and all bytes. */
  readonly vocab: number;
  readonly seed: number;
  /** Storage of matrices; norms and biases are F32. Block types exist in GGUF only and need rows of a multiple of 32. */
  readonly type: WeightType;
  readonly tiedEmbeddings: boolean;
  readonly ropeTheta: number;
  /** GGUF cannot hold `llama3` (its files hold `factors`) and `dynamic`, config.json cannot hold `factors`. */
  readonly ropeScaling: RopeScaling;
  readonly maxPositions: number;
  /** Positions that sliding layers see: those that the family lets slide, or all. */
  readonly slidingWindow?: number;
  readonly attentionSoftCap?: number;
  readonly finalSoftCap?: number;
  /** Weight files. */
  readonly shards: number;
}

const defaults: TinyModelOptions = {
  family: 'llama',
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
  if (model.vocab < 262) throw new RangeError(`vocab: at least 262, got ${model.vocab}`);
  mkdirSync(dir, { recursive: true });
  const config = tinyConfig(model);
  if (model.format === 'gguf') {
    const path = join(dir, 'tiny.gguf');
    const tensors = [...tinyTensors(config, model), ...factorTensors(model.ropeScaling)];
    const metadata = ggufMetadata(config, model.vocab);
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

/** What opening the model must find. */
export function tinyConfig(options: Partial<TinyModelOptions> = {}): ModelConfig {
  const model = { ...defaults, ...options };
  const { family, layers, slidingWindow, attentionSoftCap, finalSoftCap } = model;
  const period = slidingPeriod[family];
  const slides = period > 1 ? { slidingLayers: slidingLayersByPeriod(layers, period) } : {};
  return {
    architecture: family,
    name: 'tiny',
    numLayers: layers,
    hiddenSize: model.hiddenSize,
    ffnSize: model.ffn,
    numQueryHeads: model.queryHeads,
    numKvHeads: model.kvHeads,
    headDim: model.headDim,
    ropeDims: model.ropeDims ?? model.headDim,
    ropeTheta: model.ropeTheta,
    ropeScaling: model.ropeScaling,
    ...(family === 'gemma3' && { slidingRopeTheta: 10_000 }),
    softmaxScale: 1 / Math.sqrt(model.headDim),
    ...(attentionSoftCap !== undefined && { attentionSoftCap }),
    ...(finalSoftCap !== undefined && { finalSoftCap }),
    normEpsilon: 1e-5,
    normGainOffset: isGemma(family) && model.format === 'safetensors' ? 1 : 0,
    ...familyParts[family],
    embeddingScale: isGemma(family) ? Math.fround(Math.sqrt(model.hiddenSize)) : 1,
    activation: isGemma(family) ? 'gelu-tanh' : 'silu',
    vocabSize: model.vocab,
    tiedEmbeddings: model.tiedEmbeddings,
    maxPositions: model.maxPositions,
    ...(slidingWindow !== undefined && { slidingWindow, ...slides }),
  };
}

/** All tensors under the names of the format, encoded; those that a family fuses as one. */
export function tinyTensors(
  config: ModelConfig,
  { format, seed, type }: Pick<TinyModelOptions, 'format' | 'seed' | 'type'>,
): FileTensor[] {
  const whole = new Map<string, { readonly columns: number; rows: number; readonly values: Float32Array[] }>();
  const tensors: FileTensor[] = [];
  for (const expected of expectedTensors(config)) {
    const values = tinyValues(expected, seed, config.normGainOffset);
    const name = format === 'gguf' ? expected.gguf : expected.huggingFace;
    if (expected.shape.length === 1) {
      tensors.push(vectorTensor(name, values));
      continue;
    }
    const stored = format === 'gguf' && expected.rotaryHeads > 0 ? interleaveRows(values, expected) : values;
    const [rows, columns] = expected.shape as [number, number];
    const before = whole.get(name);
    if (before === undefined) whole.set(name, { columns, rows, values: [stored] });
    else {
      before.rows += rows;
      before.values.push(stored);
    }
  }
  for (const [name, { columns, rows, values }] of whole) {
    const joined = new Float32Array(rows * columns);
    let at = 0;
    for (const part of values) {
      joined.set(part, at);
      at += part.length;
    }
    tensors.push({ name, type, shape: [rows, columns], bytes: encodeWeights(joined, type) });
  }
  return tensors;
}

const vectorTensor = (name: string, values: Float32Array): FileTensor => ({
  name,
  type: 'F32',
  shape: [values.length],
  bytes: encodeWeights(values, 'F32'),
});

/** Rotary divisors as GGUF keeps them. */
const factorTensors = (scaling: RopeScaling): FileTensor[] => {
  const tensor = (name: string, factors: readonly number[]) =>
    vectorTensor(`${name}.weight`, Float32Array.from(factors));
  if (scaling.kind === 'factors') return [tensor('rope_freqs', scaling.factors)];
  if (scaling.kind !== 'longrope') return [];
  return [tensor('rope_factors_long', scaling.longFactors), tensor('rope_factors_short', scaling.shortFactors)];
};

/** Near normal (a sum of four uniforms), scaled so that activations and logits stay near 1; gains lie around 1, biases around 0. */
function tinyValues(expected: ExpectedTensor, seed: number, gainOffset: number): Float32Array {
  const random = createRandom('tiny-model', seed, expected.name);
  const isBias = expected.name.endsWith('.bias');
  const isGain = expected.shape.length === 1 && !isBias;
  const columns = expected.shape[1] ?? 1;
  const scale = isGain ? 0.1 : isBias ? 0.3 : expected.name === 'embedding' ? 0.5 : 1.5 / Math.sqrt(columns);
  const centre = isGain ? 1 - gainOffset : 0;
  const values = new Float32Array(expected.shape.reduce((product, size) => product * size, 1));
  for (let index = 0; index < values.length; index++) {
    const sum = random.float() + random.float() + random.float() + random.float() - 2;
    values[index] = centre + scale * Math.sqrt(3) * sum;
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

function writeDirectory(dir: string, config: ModelConfig, model: TinyModelOptions): void {
  const json = (name: string, value: object): void =>
    writeFileSync(join(dir, name), `${JSON.stringify(value, undefined, 2)}\n`);
  json('config.json', huggingFaceConfig(config));
  const files = tinyTokenizerFiles(config.architecture, model.vocab);
  json('tokenizer.json', files.tokenizer);
  json('tokenizer_config.json', files.settings);
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
