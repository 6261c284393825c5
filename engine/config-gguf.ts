/** Model configuration from GGUF metadata. */
import { WinnowError } from '../core/errors.js';
import { checkArchitecture, checkConfig, type ModelConfig, type RopeScaling } from './config.js';
import type { Gguf, GgufValue } from './gguf.js';

/** `ropeFactors`: contents of the tensor `rope_freqs.weight`, by which Llama 3.1 and later files store their rotary scaling. */
export function configFromGguf(gguf: Gguf, ropeFactors: readonly number[] | undefined): ModelConfig {
  const { path, metadata } = gguf;
  const architecture = metadata.get('general.architecture');
  checkArchitecture(`${path}, general.architecture`, architecture);
  const prefix = String(architecture);
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
  if (number('expert_count', 0) > 0) {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${path}, ${prefix}.expert_count`,
      'a dense model',
      number('expert_count'),
    );
  }
  const hiddenSize = number('embedding_length');
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
  const name = metadata.get('general.name');
  const slidingWindow = number('attention.sliding_window', 0);
  return checkConfig(path, {
    architecture: 'llama',
    name: typeof name === 'string' ? name : prefix,
    numLayers: number('block_count'),
    hiddenSize,
    ffnSize: number('feed_forward_length'),
    numQueryHeads,
    numKvHeads: number('attention.head_count_kv', numQueryHeads),
    headDim,
    ropeDims: number('rope.dimension_count', headDim),
    ropeTheta: number('rope.freq_base', 10_000),
    ropeScaling: scalingFrom(path, prefix, find, ropeFactors),
    normEpsilon: number('attention.layer_norm_rms_epsilon'),
    activation: 'silu',
    vocabSize: gguf.tensors.get('token_embd.weight')?.shape[0] ?? number('vocab_size'),
    tiedEmbeddings: !gguf.tensors.has('output.weight'),
    maxPositions: number('context_length'),
    ...(slidingWindow > 0 && { slidingWindow }),
  });
}

function scalingFrom(
  path: string,
  prefix: string,
  find: (name: string) => GgufValue | undefined,
  ropeFactors: readonly number[] | undefined,
): RopeScaling {
  if (ropeFactors !== undefined) return { kind: 'factors', factors: ropeFactors };
  const kind = find('rope.scaling.type') ?? (find('rope.scale_linear') === undefined ? 'none' : 'linear');
  if (kind === 'none') return { kind };
  if (kind === 'linear') return { kind, factor: Number(find('rope.scaling.factor') ?? find('rope.scale_linear')) };
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    `${path}, ${prefix}.rope.scaling.type`,
    'none, linear or llama3 factors',
    kind,
  );
}
