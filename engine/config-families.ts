/** What the files of a family leave unsaid: the parts of a layer, and the values that a missing key stands for. */
import { WinnowError } from '../core/errors.js';
import type { Family, ModelConfig } from './config.js';

/** Parts of a layer that no file names in its configuration. */
export type FamilyParts = Pick<ModelConfig, 'qkvBias' | 'qkNorm' | 'postNorms'>;

const plain: FamilyParts = { qkvBias: false, qkNorm: false, postNorms: false };
export const familyParts: Readonly<Record<Family, FamilyParts>> = {
  llama: plain,
  qwen2: { ...plain, qkvBias: true },
  qwen3: { ...plain, qkNorm: true },
  gemma2: { ...plain, postNorms: true },
  gemma3: { qkvBias: false, qkNorm: true, postNorms: true },
  phi3: plain,
};

export const isGemma = (family: Family): boolean => family === 'gemma2' || family === 'gemma3';

/** Every this many layers one sees everything (the last of each run); 1: none slides unless the files say so. */
export const slidingPeriod: Readonly<Record<Family, number>> = {
  llama: 1,
  qwen2: 1,
  qwen3: 1,
  gemma2: 2,
  gemma3: 6,
  phi3: 1,
};

export const slidingLayersByPeriod = (numLayers: number, period: number): boolean[] =>
  Array.from({ length: numLayers }, (_, layer) => (layer + 1) % period !== 0);

/** Names of the families in `general.architecture` of GGUF files (Mistral's say llama). */
export const ggufFamilies: Readonly<Record<string, Family>> = {
  llama: 'llama',
  qwen2: 'qwen2',
  qwen3: 'qwen3',
  gemma2: 'gemma2',
  gemma3: 'gemma3',
  phi3: 'phi3',
};
/** Names in `model_type` of `config.json`; `gemma3` is there the name of the model with a vision tower. */
export const huggingFaceFamilies: Readonly<Record<string, Family>> = {
  llama: 'llama',
  mistral: 'llama',
  qwen2: 'qwen2',
  qwen3: 'qwen3',
  gemma2: 'gemma2',
  gemma3_text: 'gemma3',
  phi3: 'phi3',
};

/** Throws: ERR_UNSUPPORTED for a name that is not listed. */
export function familyOf(where: string, names: Readonly<Record<string, Family>>, architecture: unknown): Family {
  if (typeof architecture === 'string' && Object.hasOwn(names, architecture)) return names[architecture]!;
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    where,
    `one of ${Object.keys(names).join(', ')}`,
    architecture,
    'Choose a model of one of these families.',
  );
}
