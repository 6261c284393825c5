/** Model configuration from the `config.json` of a Hugging Face directory. */
import { z } from 'zod';
import { WinnowError } from '../core/errors.js';
import { checkConfig, type Family, type ModelConfig } from './config.js';
import {
  familyOf,
  familyParts,
  huggingFaceFamilies,
  isGemma,
  slidingLayersByPeriod,
  slidingPeriod,
} from './config-families.js';
import { scalingFromHuggingFace } from './config-huggingface-rope.js';

const count = z.number().int().positive();
/** Only what we read. */
const fileSchema = z.object({
  _name_or_path: z.string().optional(),
  num_hidden_layers: count,
  hidden_size: count,
  intermediate_size: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  hidden_act: z.string().nullish(),
  hidden_activation: z.string().nullish(),
  max_position_embeddings: count.default(2_048),
  original_max_position_embeddings: count.nullish(),
  rms_norm_eps: z.number().nullish(),
  vocab_size: count,
  tie_word_embeddings: z.boolean().nullish(),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  use_sliding_window: z.boolean().nullish(),
  sliding_window: count.nullish(),
  max_window_layers: z.number().int().nonnegative().nullish(),
  layer_types: z.array(z.string()).nullish(),
  sliding_window_pattern: count.nullish(),
  query_pre_attn_scalar: z.number().positive().nullish(),
  attn_logit_softcapping: z.number().positive().nullish(),
  final_logit_softcapping: z.number().positive().nullish(),
  use_bidirectional_attention: z.boolean().nullish(),
  partial_rotary_factor: z.number().positive().max(1).nullish(),
  rope_theta: z.number().positive().nullish(),
  rope_local_base_freq: z.number().positive().nullish(),
  rope_scaling: z.record(z.string(), z.unknown()).nullish(),
  /** Newer files hold theta and scaling here together, Gemma 3 one set for each kind of layer. */
  rope_parameters: z.record(z.string(), z.unknown()).nullish(),
  torch_dtype: z.string().nullish(),
  dtype: z.string().nullish(),
});
type File = z.output<typeof fileSchema>;

/** Values of missing keys, as the configuration classes of `transformers` have them; `slidingWindow` differs from null, which is none. */
interface Absent {
  readonly headDim?: number;
  readonly slidingWindow?: number;
  readonly theta: number;
  readonly epsilon: number;
  readonly tied: boolean;
}
const common: Absent = { theta: 10_000, epsilon: 1e-6, tied: false };
const absent: Readonly<Record<string, Absent>> = {
  mistral: { ...common, slidingWindow: 4_096 },
  qwen3: { ...common, headDim: 128 },
  gemma2: { ...common, headDim: 256, slidingWindow: 4_096, tied: true },
  gemma3_text: { ...common, headDim: 256, slidingWindow: 4_096, theta: 1_000_000, tied: true },
  phi3: { ...common, epsilon: 1e-5 },
};

/** `where` names the file in messages. */
export function configFromHuggingFace(where: string, json: unknown): ModelConfig {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new WinnowError('ERR_MODEL_FORMAT', where, 'a JSON object', json);
  const modelType = (json as Record<string, unknown>).model_type;
  const family = familyOf(`${where}, model_type`, huggingFaceFamilies, modelType);
  const file = parse(where, json);
  const missing = absent[String(modelType)] ?? common;
  for (const key of ['attention_bias', 'mlp_bias', 'use_bidirectional_attention'] as const) {
    if (file[key] === true) throw new WinnowError('ERR_UNSUPPORTED', `${where}, ${key}`, 'false', true);
  }
  const headDim = file.head_dim ?? missing.headDim ?? file.hidden_size / file.num_attention_heads;
  const isGemmaFamily = isGemma(family);
  const rope = ropeSections(file);
  const dims = file.partial_rotary_factor ?? rope.full?.partial_rotary_factor;
  const theta = rope.full?.rope_theta ?? file.rope_theta ?? missing.theta;
  const scalar = isGemmaFamily ? (file.query_pre_attn_scalar ?? 256) : headDim;
  const caps = softCaps(file, family);
  const ropeScaling = scalingFromHuggingFace(where, rope.full ?? file.rope_scaling ?? undefined, {
    maxPositions: file.max_position_embeddings,
    originalMaxPositions: file.original_max_position_embeddings ?? (family === 'phi3' ? 4_096 : undefined),
  });
  const ropeDims = Math.floor(headDim * (typeof dims === 'number' ? dims : 1));
  return checkConfig(where, {
    architecture: family,
    name: file._name_or_path ?? String(modelType),
    numLayers: file.num_hidden_layers,
    hiddenSize: file.hidden_size,
    ffnSize: file.intermediate_size,
    numQueryHeads: file.num_attention_heads,
    numKvHeads: file.num_key_value_heads ?? file.num_attention_heads,
    headDim,
    ropeDims,
    ropeTheta: typeof theta === 'number' ? theta : 10_000,
    ropeScaling,
    ...(family === 'gemma3' && { slidingRopeTheta: localTheta(file, rope.sliding) }),
    softmaxScale: scalar ** -0.5,
    ...caps,
    normEpsilon: file.rms_norm_eps ?? missing.epsilon,
    normGainOffset: isGemmaFamily ? 1 : 0,
    ...familyParts[family],
    embeddingScale: isGemmaFamily ? embeddingScaleOf(file) : 1,
    activation: activationFrom(where, file, isGemmaFamily),
    vocabSize: file.vocab_size,
    tiedEmbeddings: file.tie_word_embeddings ?? missing.tied,
    // Dynamic scaling leaves the trained length in the file and serves `factor` times as much.
    maxPositions: Math.floor(file.max_position_embeddings * (ropeScaling.kind === 'dynamic' ? ropeScaling.factor : 1)),
    ...slidingFrom(where, file, family, missing),
  });
}

function parse(where: string, json: object): File {
  const parsed = fileSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const actual = issue.path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    json,
  );
  throw new WinnowError('ERR_MODEL_FORMAT', `${where}, ${issue.path.join('.')}`, issue.message, actual);
}

type Section = Readonly<Record<string, unknown>>;

/** Parameters of the rotary embeddings: one set, or one for each kind of layer. */
function ropeSections(file: File): { readonly full: Section | undefined; readonly sliding: Section | undefined } {
  const all = file.rope_parameters ?? undefined;
  const section = (name: string): Section | undefined => {
    const value = all?.[name];
    return typeof value === 'object' && value !== null ? (value as Section) : undefined;
  };
  const full = section('full_attention');
  const sliding = section('sliding_attention');
  return full === undefined && sliding === undefined ? { full: all, sliding: undefined } : { full, sliding };
}

const localTheta = (file: File, sliding: Section | undefined): number => {
  const theta = sliding?.rope_theta ?? file.rope_local_base_freq;
  return typeof theta === 'number' ? theta : 10_000;
};

/** sqrt(hidden size) in the dtype that the weights are stored in, as the models were trained. */
function embeddingScaleOf({ hidden_size: size, torch_dtype: old, dtype }: File): number {
  const root = Math.fround(Math.sqrt(size));
  if ((dtype ?? old) !== 'bfloat16') return root;
  const bits = new DataView(new ArrayBuffer(4));
  bits.setFloat32(0, root);
  const word = bits.getUint32(0);
  bits.setUint32(0, (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff_0000);
  return bits.getFloat32(0);
}

/** Gemma 2 is capped unless its file says null; Gemma 3 unless it names a cap is not. */
function softCaps(file: File, family: Family): Pick<ModelConfig, 'attentionSoftCap' | 'finalSoftCap'> {
  if (!isGemma(family)) return {};
  const cap = (value: number | null | undefined, otherwise: number | undefined): number | undefined =>
    value === undefined ? otherwise : (value ?? undefined);
  const attention = cap(file.attn_logit_softcapping, family === 'gemma2' ? 50 : undefined);
  const final = cap(file.final_logit_softcapping, family === 'gemma2' ? 30 : undefined);
  return {
    ...(attention !== undefined && { attentionSoftCap: attention }),
    ...(final !== undefined && { finalSoftCap: final }),
  };
}

function slidingFrom(
  where: string,
  file: File,
  family: Family,
  missing: Absent,
): Pick<ModelConfig, 'slidingWindow' | 'slidingLayers'> {
  const isQwen = family === 'qwen2' || family === 'qwen3';
  const window = file.sliding_window === undefined ? missing.slidingWindow : (file.sliding_window ?? undefined);
  const isOff = isQwen && file.use_sliding_window !== true;
  // A window that holds every position the model was made for is none.
  if (window === undefined || isOff || window >= file.max_position_embeddings) return {};
  const slidingLayers = layersFrom(where, file, family, isQwen);
  if (slidingLayers === undefined) return { slidingWindow: window };
  return slidingLayers.some((slides) => slides) ? { slidingWindow: window, slidingLayers } : {};
}

function layersFrom(where: string, file: File, family: Family, isQwen: boolean): boolean[] | undefined {
  const { num_hidden_layers: numLayers, layer_types: types } = file;
  if (types !== undefined && types !== null && (isQwen || isGemma(family))) {
    return types.map((type) => {
      if (type === 'sliding_attention') return true;
      if (type === 'full_attention') return false;
      throw new WinnowError('ERR_UNSUPPORTED', `${where}, layer_types`, 'sliding_attention or full_attention', type);
    });
  }
  if (isQwen) return Array.from({ length: numLayers }, (_, layer) => layer >= (file.max_window_layers ?? 28));
  const period = file.sliding_window_pattern ?? slidingPeriod[family];
  return isGemma(family) ? slidingLayersByPeriod(numLayers, period) : undefined;
}

function activationFrom(where: string, file: File, isGemmaFamily: boolean): ModelConfig['activation'] {
  const name = isGemmaFamily ? (file.hidden_activation ?? 'gelu_pytorch_tanh') : (file.hidden_act ?? 'silu');
  if (name === 'silu' || name === 'swish') return 'silu';
  if (name === 'gelu_pytorch_tanh' || name === 'gelu_new') return 'gelu-tanh';
  throw new WinnowError('ERR_UNSUPPORTED', `${where}, hidden_act`, 'silu or gelu_pytorch_tanh', name);
}
