/** What the engine must know of a model besides its weights: one shape for every file format. */
import { WinnowError } from '../core/errors.js';

/** Rotary embedding whose angles are stretched for longer contexts. `factors` are divisors per pair that stand in the checkpoint. */
export type RopeScaling =
  | { readonly kind: 'none' }
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalMaxPositions: number;
    }
  | { readonly kind: 'factors'; readonly factors: readonly number[] };

export interface ModelConfig {
  /** Layer recipe. Llama 2 and 3, SmolLM2 and Mistral share one. */
  readonly architecture: 'llama';
  /** The model's own name, as far as its files tell. */
  readonly name: string;
  readonly numLayers: number;
  readonly hiddenSize: number;
  readonly ffnSize: number;
  readonly numQueryHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  /** Rotated channels of a head; the rest pass through. */
  readonly ropeDims: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
  readonly normEpsilon: number;
  readonly activation: 'silu' | 'gelu-tanh';
  readonly vocabSize: number;
  /** The LM head is the embedding matrix. */
  readonly tiedEmbeddings: boolean;
  readonly maxPositions: number;
  /** Positions that a query sees, itself included; absent: all. */
  readonly slidingWindow?: number;
}

/** Names that `config.json` (`model_type`) and GGUF (`general.architecture`) use for the layer recipes that we run. */
export const supportedArchitectures: readonly string[] = ['llama', 'mistral'];

export function checkArchitecture(where: string, architecture: unknown): void {
  if (typeof architecture === 'string' && supportedArchitectures.includes(architecture)) return;
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    where,
    `one of ${supportedArchitectures.join(', ')}`,
    architecture,
    'Choose a model of the Llama family.',
  );
}

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
  const { ropeDims, headDim, ropeTheta, normEpsilon, ropeScaling, slidingWindow } = config;
  if (!(Number.isInteger(ropeDims) && ropeDims >= 2 && ropeDims <= headDim && ropeDims % 2 === 0)) {
    throw refused(where, 'ropeDims', `an even number up to headDim (${headDim})`, ropeDims);
  }
  if (!(ropeTheta > 0 && Number.isFinite(ropeTheta))) throw refused(where, 'ropeTheta', 'a positive number', ropeTheta);
  if (!(normEpsilon > 0 && normEpsilon < 1))
    throw refused(where, 'normEpsilon', 'a number between 0 and 1', normEpsilon);
  if (slidingWindow !== undefined && !(Number.isInteger(slidingWindow) && slidingWindow >= 1)) {
    throw refused(where, 'slidingWindow', 'a number of positions', slidingWindow);
  }
  checkScaling(where, ropeScaling, ropeDims);
  return config;
}

function checkScaling(where: string, scaling: RopeScaling, ropeDims: number): void {
  const numbers =
    scaling.kind === 'linear'
      ? { factor: scaling.factor }
      : scaling.kind === 'llama3'
        ? {
            factor: scaling.factor,
            lowFrequencyFactor: scaling.lowFrequencyFactor,
            highFrequencyFactor: scaling.highFrequencyFactor,
            originalMaxPositions: scaling.originalMaxPositions,
          }
        : {};
  for (const [name, value] of Object.entries(numbers)) {
    if (!(value > 0 && Number.isFinite(value))) throw refused(where, `ropeScaling.${name}`, 'a positive number', value);
  }
  if (scaling.kind === 'llama3' && scaling.highFrequencyFactor <= scaling.lowFrequencyFactor) {
    throw refused(
      where,
      'ropeScaling.highFrequencyFactor',
      `more than lowFrequencyFactor (${scaling.lowFrequencyFactor})`,
      scaling.highFrequencyFactor,
    );
  }
  if (scaling.kind === 'factors') {
    if (scaling.factors.length !== ropeDims / 2)
      throw refused(where, 'ropeScaling.factors', `${ropeDims / 2} numbers`, scaling.factors.length);
    const bad = scaling.factors.find((factor) => !(factor > 0 && Number.isFinite(factor)));
    if (bad !== undefined) throw refused(where, 'ropeScaling.factors', 'positive numbers', bad);
  }
}

const refused = (where: string, name: string, expected: string, actual: unknown): WinnowError =>
  new WinnowError(
    'ERR_MODEL_FORMAT',
    `${where}, ${name}`,
    expected,
    actual,
    'The model file is damaged or not of the kind that it claims.',
  );
