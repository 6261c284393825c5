/** Model configuration from the `config.json` of a Hugging Face directory. */
import { z } from 'zod';
import { WinnowError } from '../core/errors.js';
import { checkArchitecture, checkConfig, type ModelConfig, type RopeScaling } from './config.js';

const count = z.number().int().positive();
/** Only what we read; defaults are those of the Llama configuration class of `transformers`. */
const fileSchema = z.object({
  _name_or_path: z.string().optional(),
  num_hidden_layers: count,
  hidden_size: count,
  intermediate_size: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  hidden_act: z.string().default('silu'),
  max_position_embeddings: count.default(2_048),
  rms_norm_eps: z.number().default(1e-6),
  vocab_size: count,
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  sliding_window: count.nullish(),
  partial_rotary_factor: z.number().positive().max(1).nullish(),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: z.record(z.string(), z.unknown()).nullish(),
  /** Newer files hold theta and scaling here together. */
  rope_parameters: z.record(z.string(), z.unknown()).nullish(),
});

/** `where` names the file in messages. */
export function configFromHuggingFace(where: string, json: unknown): ModelConfig {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new WinnowError('ERR_MODEL_FORMAT', where, 'a JSON object', json);
  checkArchitecture(`${where}, model_type`, (json as Record<string, unknown>).model_type);
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const actual = issue.path.reduce<unknown>(
      (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
      json,
    );
    throw new WinnowError('ERR_MODEL_FORMAT', `${where}, ${issue.path.join('.')}`, issue.message, actual);
  }
  const file = parsed.data;
  for (const key of ['attention_bias', 'mlp_bias'] as const) {
    if (file[key] === true) throw new WinnowError('ERR_UNSUPPORTED', `${where}, ${key}`, 'false', true);
  }
  const headDim = file.head_dim ?? file.hidden_size / file.num_attention_heads;
  const theta = file.rope_parameters?.rope_theta ?? file.rope_theta;
  return checkConfig(where, {
    architecture: 'llama',
    name: file._name_or_path ?? String((json as Record<string, unknown>).model_type),
    numLayers: file.num_hidden_layers,
    hiddenSize: file.hidden_size,
    ffnSize: file.intermediate_size,
    numQueryHeads: file.num_attention_heads,
    numKvHeads: file.num_key_value_heads ?? file.num_attention_heads,
    headDim,
    ropeDims: Math.floor(headDim * (file.partial_rotary_factor ?? 1)),
    ropeTheta: typeof theta === 'number' ? theta : 10_000,
    ropeScaling: scalingFrom(
      where,
      file.rope_parameters ?? file.rope_scaling ?? undefined,
      file.max_position_embeddings,
    ),
    normEpsilon: file.rms_norm_eps,
    activation: activationFrom(where, file.hidden_act),
    vocabSize: file.vocab_size,
    tiedEmbeddings: file.tie_word_embeddings,
    maxPositions: file.max_position_embeddings,
    ...(typeof file.sliding_window === 'number' && { slidingWindow: file.sliding_window }),
  });
}

function activationFrom(where: string, name: string): ModelConfig['activation'] {
  if (name === 'silu' || name === 'swish') return 'silu';
  if (name === 'gelu_pytorch_tanh' || name === 'gelu_new') return 'gelu-tanh';
  throw new WinnowError('ERR_UNSUPPORTED', `${where}, hidden_act`, 'silu or gelu_pytorch_tanh', name);
}

function scalingFrom(
  where: string,
  scaling: Readonly<Record<string, unknown>> | undefined,
  maxPositions: number,
): RopeScaling {
  const kind = scaling?.rope_type ?? scaling?.type ?? 'default';
  const number = (key: string, otherwise?: number): number => {
    const value = scaling?.[key] ?? otherwise;
    if (typeof value === 'number') return value;
    throw new WinnowError('ERR_MODEL_FORMAT', `${where}, rope_scaling.${key}`, 'a number', value);
  };
  switch (kind) {
    case 'default':
      return { kind: 'none' };
    case 'linear':
      return { kind: 'linear', factor: number('factor') };
    case 'llama3':
      return {
        kind: 'llama3',
        factor: number('factor'),
        lowFrequencyFactor: number('low_freq_factor'),
        highFrequencyFactor: number('high_freq_factor'),
        originalMaxPositions: number('original_max_position_embeddings', maxPositions),
      };
    default:
      throw new WinnowError('ERR_UNSUPPORTED', `${where}, rope_scaling`, 'none, linear or llama3', kind);
  }
}
