/** Model configuration from GGUF metadata. */
import { WinnowError } from '../core/errors.js';
import { checkConfig, type Family, type ModelConfig } from './config.js';
import {
  familyOf,
  familyParts,
  ggufFamilies,
  isGemma,
  slidingLayersByPeriod,
  slidingPeriod,
} from './config-families.js';
import { longropeAttentionFactor, type RopeScaling, yarnAttentionFactor } from './config-scaling.js';
import type { Gguf, GgufValue } from './gguf.js';

/** Contents of a tensor of rotary divisors: `rope_freqs.weight` of Llama 3.1 and later, `rope_factors_*` of LongRoPE. */
export type ReadFactors = (tensor: string) => readonly number[] | undefined;

/** What the files of the Gemma families leave out, as the models' own configurations have it. */
const gemma3LocalTheta = 10_000;
/** Layers of the one size of each family whose attention scale is not 1 / sqrt(headDim) but 1 / sqrt(hidden / heads): 27B. */
const layersOf27B: Readonly<Partial<Record<Family, number>>> = { gemma2: 46, gemma3: 62 };

interface Metadata {
  readonly path: string;
  readonly prefix: string;
  find(name: string): GgufValue | undefined;
  number(name: string, otherwise?: number): number;
}

export function configFromGguf(gguf: Gguf, readFactors: ReadFactors): ModelConfig {
  const metadata = metadataOf(gguf);
  const { path, prefix, number } = metadata;
  const family = familyOf(`${path}, general.architecture`, ggufFamilies, gguf.metadata.get('general.architecture'));
  if (number('expert_count', 0) > 0) {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${path}, ${prefix}.expert_count`,
      'a dense model',
      number('expert_count'),
    );
  }
  const hiddenSize = number('embedding_length');
  const numLayers = number('block_count');
  const numQueryHeads = number('attention.head_count');
  const headDim = number('attention.key_length', hiddenSize / numQueryHeads);
  if (number('attention.value_length', headDim) !== headDim) {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${path}, ${prefix}.attention.value_length`,
      `the key length (${headDim})`,
      number('attention.value_length'),
    );
  }
  const name = gguf.metadata.get('general.name');
  const softCap = number('attn_logit_softcapping', 0);
  const finalSoftCap = number('final_logit_softcapping', 0);
  const isWide = layersOf27B[family] === numLayers;
  return checkConfig(path, {
    architecture: family,
    name: typeof name === 'string' ? name : prefix,
    numLayers,
    hiddenSize,
    ffnSize: number('feed_forward_length'),
    numQueryHeads,
    numKvHeads: number('attention.head_count_kv', numQueryHeads),
    headDim,
    ropeDims: number('rope.dimension_count', headDim),
    ropeTheta: number('rope.freq_base', 10_000),
    ropeScaling: scalingFrom(metadata, readFactors),
    ...(family === 'gemma3' && { slidingRopeTheta: number('rope.freq_base_swa', gemma3LocalTheta) }),
    softmaxScale: 1 / Math.sqrt(isWide ? hiddenSize / numQueryHeads : headDim),
    ...(softCap > 0 && { attentionSoftCap: softCap }),
    ...(finalSoftCap > 0 && { finalSoftCap }),
    normEpsilon: number('attention.layer_norm_rms_epsilon'),
    normGainOffset: 0,
    ...familyParts[family],
    embeddingScale: isGemma(family) ? Math.fround(Math.sqrt(hiddenSize)) : 1,
    activation: isGemma(family) ? 'gelu-tanh' : 'silu',
    vocabSize: gguf.tensors.get('token_embd.weight')?.shape[0] ?? number('vocab_size'),
    tiedEmbeddings: !gguf.tensors.has('output.weight'),
    maxPositions: number('context_length'),
    ...slidingFrom(metadata, family, numLayers),
  });
}

function metadataOf({ path, metadata }: Gguf): Metadata {
  const prefix = String(metadata.get('general.architecture'));
  const find = (name: string): GgufValue | undefined => metadata.get(`${prefix}.${name}`);
  const number = (name: string, otherwise?: number): number => {
    const value = find(name) ?? otherwise;
    if (typeof value === 'number') return value;
    if (typeof value === 'object') {
      throw new WinnowError(
        'ERR_UNSUPPORTED',
        `${path}, ${prefix}.${name}`,
        'one number for all layers',
        `${value.length} numbers`,
      );
    }
    throw new WinnowError('ERR_MODEL_FORMAT', `${path}, ${prefix}.${name}`, 'a number', value);
  };
  return { path, prefix, find, number };
}

/** A window that holds every position a model was made for is none. */
function slidingFrom(
  { number }: Metadata,
  family: Family,
  numLayers: number,
): Pick<ModelConfig, 'slidingWindow' | 'slidingLayers'> {
  const slidingWindow = number('attention.sliding_window', 0);
  if (slidingWindow <= 0 || slidingWindow >= number('context_length')) return {};
  const period = slidingPeriod[family];
  return period === 1 ? { slidingWindow } : { slidingWindow, slidingLayers: slidingLayersByPeriod(numLayers, period) };
}

function scalingFrom({ path, prefix, find, number }: Metadata, readFactors: ReadFactors): RopeScaling {
  const factors = readFactors('rope_freqs.weight');
  if (factors !== undefined) return { kind: 'factors', factors };
  const originalMaxPositions = number('rope.scaling.original_context_length', number('context_length'));
  const long = readFactors('rope_factors_long.weight');
  const short = readFactors('rope_factors_short.weight');
  if (long !== undefined && short !== undefined) {
    const stretch = number('context_length') / originalMaxPositions;
    return {
      kind: 'longrope',
      shortFactors: short,
      longFactors: long,
      originalMaxPositions,
      attentionFactor: number('rope.scaling.attn_factor', longropeAttentionFactor(stretch, originalMaxPositions)),
    };
  }
  const kind = find('rope.scaling.type') ?? (find('rope.scale_linear') === undefined ? 'none' : 'linear');
  const factor = (): number => number('rope.scaling.factor', Number(find('rope.scale_linear') ?? 1));
  switch (kind) {
    case 'none':
      return { kind };
    case 'linear':
      return { kind, factor: factor() };
    case 'yarn':
      return {
        kind,
        factor: factor(),
        originalMaxPositions,
        attentionFactor: number('rope.scaling.attn_factor', 1) * yarnAttentionFactor(factor()),
        betaFast: number('rope.scaling.yarn_beta_fast', 32),
        betaSlow: number('rope.scaling.yarn_beta_slow', 1),
        truncate: true,
      };
    default:
      throw new WinnowError(
        'ERR_UNSUPPORTED',
        `${path}, ${prefix}.rope.scaling.type`,
        'none, linear, yarn, or factors of Llama 3 or LongRoPE',
        kind,
      );
  }
}
