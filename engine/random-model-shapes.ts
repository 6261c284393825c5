/** Published shapes of decoder models, for weights drawn at random: what time and memory depend on, without a download. */

import { checkConfig, type ModelConfig } from './config.js';
import { familyParts } from './config-families.js';
import type { RopeScaling } from './config-scaling.js';

type Numbers = Pick<
  ModelConfig,
  | 'numLayers'
  | 'hiddenSize'
  | 'ffnSize'
  | 'numQueryHeads'
  | 'numKvHeads'
  | 'headDim'
  | 'ropeTheta'
  | 'normEpsilon'
  | 'vocabSize'
  | 'tiedEmbeddings'
  | 'maxPositions'
> & {
  readonly architecture: 'llama' | 'qwen2' | 'qwen3';
  readonly ropeScaling?: RopeScaling;
};

/** Llama 3's stretching of slow frequencies. */
const llama3 = (factor: number): RopeScaling => ({
  kind: 'llama3',
  factor,
  lowFrequencyFactor: 1,
  highFrequencyFactor: 4,
  originalMaxPositions: 8192,
});

/** Numbers of each model's own config.json, the base model where an instruct model differs; `tiny` is ours, for tests. */
const shapes: Readonly<Record<string, Numbers>> = {
  tiny: {
    architecture: 'llama',
    ...{ numLayers: 4, hiddenSize: 128, ffnSize: 256, numQueryHeads: 4, numKvHeads: 2, headDim: 64 },
    ...{ ropeTheta: 500_000, normEpsilon: 1e-5, vocabSize: 512, tiedEmbeddings: true, maxPositions: 131_072 },
  },
  'smollm2-135m': {
    architecture: 'llama',
    ...{ numLayers: 30, hiddenSize: 576, ffnSize: 1536, numQueryHeads: 9, numKvHeads: 3, headDim: 64 },
    ...{ ropeTheta: 100_000, normEpsilon: 1e-5, vocabSize: 49_152, tiedEmbeddings: true, maxPositions: 8192 },
  },
  'llama-3.2-1b': {
    architecture: 'llama',
    ...{ numLayers: 16, hiddenSize: 2048, ffnSize: 8192, numQueryHeads: 32, numKvHeads: 8, headDim: 64 },
    ...{ ropeTheta: 500_000, normEpsilon: 1e-5, vocabSize: 128_256, tiedEmbeddings: true, maxPositions: 131_072 },
    ropeScaling: llama3(32),
  },
  'llama-3.2-3b': {
    architecture: 'llama',
    ...{ numLayers: 28, hiddenSize: 3072, ffnSize: 8192, numQueryHeads: 24, numKvHeads: 8, headDim: 128 },
    ...{ ropeTheta: 500_000, normEpsilon: 1e-5, vocabSize: 128_256, tiedEmbeddings: true, maxPositions: 131_072 },
    ropeScaling: llama3(32),
  },
  'llama-3.1-8b': {
    architecture: 'llama',
    ...{ numLayers: 32, hiddenSize: 4096, ffnSize: 14_336, numQueryHeads: 32, numKvHeads: 8, headDim: 128 },
    ...{ ropeTheta: 500_000, normEpsilon: 1e-5, vocabSize: 128_256, tiedEmbeddings: false, maxPositions: 131_072 },
    ropeScaling: llama3(8),
  },
  'mistral-7b-v0.3': {
    architecture: 'llama',
    ...{ numLayers: 32, hiddenSize: 4096, ffnSize: 14_336, numQueryHeads: 32, numKvHeads: 8, headDim: 128 },
    ...{ ropeTheta: 1_000_000, normEpsilon: 1e-5, vocabSize: 32_768, tiedEmbeddings: false, maxPositions: 32_768 },
  },
  'qwen2.5-7b': {
    architecture: 'qwen2',
    ...{ numLayers: 28, hiddenSize: 3584, ffnSize: 18_944, numQueryHeads: 28, numKvHeads: 4, headDim: 128 },
    ...{ ropeTheta: 1_000_000, normEpsilon: 1e-6, vocabSize: 152_064, tiedEmbeddings: false, maxPositions: 131_072 },
  },
  'qwen3-8b': {
    architecture: 'qwen3',
    ...{ numLayers: 36, hiddenSize: 4096, ffnSize: 12_288, numQueryHeads: 32, numKvHeads: 8, headDim: 128 },
    ...{ ropeTheta: 1_000_000, normEpsilon: 1e-6, vocabSize: 151_936, tiedEmbeddings: false, maxPositions: 40_960 },
  },
};

export const randomShapes: readonly string[] = Object.keys(shapes);

/** The configuration of a published shape; undefined for a name that is not listed. */
export function randomConfig(shape: string): ModelConfig | undefined {
  const numbers = Object.hasOwn(shapes, shape) ? shapes[shape] : undefined;
  if (numbers === undefined) return undefined;
  const { architecture, headDim, ropeScaling = { kind: 'none' } } = numbers;
  return checkConfig(`random:${shape}`, {
    ...numbers,
    name: shape,
    ropeDims: headDim,
    ropeScaling,
    softmaxScale: 1 / Math.sqrt(headDim),
    normGainOffset: 0,
    ...familyParts[architecture],
    embeddingScale: 1,
    activation: 'silu',
  });
}
