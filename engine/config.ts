/** What the engine must know of a model besides its weights: one shape for every file format. */
import { WinnowError } from '../core/errors.js';
import { checkScaling, type RopeScaling } from './config-scaling.js';

/** Layer recipes. Llama 2 and 3, SmolLM2 and Mistral share one. */
export type Family = 'llama' | 'qwen2' | 'qwen3' | 'gemma2' | 'gemma3' | 'phi3';

export interface ModelConfig {
  readonly architecture: Family;
  /** The model's own name, as far as its files tell. */
  readonly name: string;
  readonly numLayers: number;
  readonly hiddenSize: number;
  readonly ffnSize: number;
  readonly numQueryHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  /** Rotated channels of a head, from the first; the rest pass through. */
  readonly ropeDims: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
  /** Sliding layers rotate by this theta, unscaled; absent: all layers rotate alike. */
  readonly slidingRopeTheta?: number;
  readonly softmaxScale: number;
  /** Attention logits are cap * tanh(logit / cap). */
  readonly attentionSoftCap?: number;
  /** The same for the logits of the vocabulary. */
  readonly finalSoftCap?: number;
  readonly normEpsilon: number;
  /** What the stored gains of all norms lack: 1 where a file holds gain - 1 (Gemma in safetensors). */
  readonly normGainOffset: 0 | 1;
  /** q, k and v have biases. */
  readonly qkvBias: boolean;
  /** Each head's query and key are normed before they are rotated. */
  readonly qkNorm: boolean;
  /** What attention and FFN give is normed before it is added (Gemma). */
  readonly postNorms: boolean;
  readonly embeddingScale: number;
  readonly activation: 'silu' | 'gelu-tanh';
  readonly vocabSize: number;
  /** The LM head is the embedding matrix. */
  readonly tiedEmbeddings: boolean;
  readonly maxPositions: number;
  /** Positions that a query of a sliding layer sees, itself included; absent: no layer slides. */
  readonly slidingWindow?: number;
  /** One entry a layer; absent: with a window, all layers slide. */
  readonly slidingLayers?: readonly boolean[];
}

/** The window of one layer, if it slides. */
export const windowOfLayer = (
  { slidingWindow, slidingLayers }: Pick<ModelConfig, 'slidingWindow' | 'slidingLayers'>,
  layer: number,
): number | undefined => ((slidingLayers?.[layer] ?? true) ? slidingWindow : undefined);

/** Upper bounds far beyond any model: they keep products of sizes exact and loops finite. */
const limits = {
  numLayers: 1_000,
  hiddenSize: 1 << 17,
  ffnSize: 1 << 19,
  numQueryHeads: 1_024,
  numKvHeads: 1_024,
  headDim: 1_024,
  vocabSize: 1 << 21,
};

/** Holds the numbers against one another; a file may say anything. */
export function checkConfig(where: string, config: ModelConfig): ModelConfig {
  for (const [name, most] of Object.entries(limits)) {
    const value = config[name as keyof typeof limits];
    if (!(Number.isInteger(value) && value >= 1 && value <= most))
      throw refused(where, name, `an integer from 1 to ${most}`, value);
  }
  if (config.numQueryHeads % config.numKvHeads !== 0) {
    throw refused(where, 'numQueryHeads', `a multiple of numKvHeads (${config.numKvHeads})`, config.numQueryHeads);
  }
  if (!(Number.isInteger(config.maxPositions) && config.maxPositions >= 1 && config.maxPositions <= 1 << 28)) {
    throw refused(where, 'maxPositions', 'a number of tokens from 1 to 2^28', config.maxPositions);
  }
  const { ropeDims, headDim, normEpsilon, ropeScaling, slidingWindow, slidingLayers, numLayers } = config;
  if (!(Number.isInteger(ropeDims) && ropeDims >= 2 && ropeDims <= headDim && ropeDims % 2 === 0)) {
    throw refused(where, 'ropeDims', `an even number up to headDim (${headDim})`, ropeDims);
  }
  const positive = ['ropeTheta', 'slidingRopeTheta', 'softmaxScale', 'attentionSoftCap', 'finalSoftCap'] as const;
  for (const name of [...positive, 'embeddingScale'] as const) {
    const value = config[name];
    if (value !== undefined && !(value > 0 && Number.isFinite(value)))
      throw refused(where, name, 'a positive number', value);
  }
  if (!(normEpsilon > 0 && normEpsilon < 1))
    throw refused(where, 'normEpsilon', 'a number between 0 and 1', normEpsilon);
  if (slidingWindow !== undefined && !(Number.isInteger(slidingWindow) && slidingWindow >= 1)) {
    throw refused(where, 'slidingWindow', 'a number of positions', slidingWindow);
  }
  if (slidingLayers !== undefined && slidingLayers.length !== numLayers) {
    throw refused(where, 'slidingLayers', `${numLayers} entries, one a layer`, slidingLayers.length);
  }
  checkScaling(where, ropeScaling, ropeDims);
  return config;
}

/** A value that no model of the recipe has. */
export const refused = (where: string, name: string, expected: string, actual: unknown): WinnowError =>
  new WinnowError(
    'ERR_MODEL_FORMAT',
    `${where}, ${name}`,
    expected,
    actual,
    'The model file is damaged or not of the kind that it claims.',
  );
