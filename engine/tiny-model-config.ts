/** The configuration of a generated test model in the words of each file format. */
import type { Family, ModelConfig } from './config.js';
import type { RopeScaling } from './config-scaling.js';
import type { FileValue } from './tiny-model-files.js';
import { tinyTokenizerMetadata } from './tiny-model-tokenizer.js';

export function ggufMetadata(config: ModelConfig, vocab: number): Record<string, FileValue> {
  const prefix = config.architecture;
  const values: Record<string, FileValue | undefined> = {
    block_count: { u32: config.numLayers },
    context_length: { u32: config.maxPositions },
    embedding_length: { u32: config.hiddenSize },
    feed_forward_length: { u32: config.ffnSize },
    'attention.head_count': { u32: config.numQueryHeads },
    'attention.head_count_kv': { u32: config.numKvHeads },
    'attention.key_length': { u32: config.headDim },
    'attention.value_length': { u32: config.headDim },
    'attention.layer_norm_rms_epsilon': { f32: config.normEpsilon },
    'attention.sliding_window': config.slidingWindow === undefined ? undefined : { u32: config.slidingWindow },
    attn_logit_softcapping: config.attentionSoftCap === undefined ? undefined : { f32: config.attentionSoftCap },
    final_logit_softcapping: config.finalSoftCap === undefined ? undefined : { f32: config.finalSoftCap },
    'rope.freq_base': { f32: config.ropeTheta },
    'rope.dimension_count': { u32: config.ropeDims },
    ...ggufScaling(config.ropeScaling),
  };
  const known = Object.entries(values).filter((entry): entry is [string, FileValue] => entry[1] !== undefined);
  return {
    'general.architecture': { text: prefix },
    'general.name': { text: config.name },
    ...Object.fromEntries(known.map(([key, value]) => [`${prefix}.${key}`, value])),
    ...tinyTokenizerMetadata(config.architecture, vocab),
  };
}

function ggufScaling(scaling: RopeScaling): Record<string, FileValue> {
  switch (scaling.kind) {
    case 'none':
    case 'factors':
      return {};
    case 'linear':
      return { 'rope.scaling.type': { text: 'linear' }, 'rope.scaling.factor': { f32: scaling.factor } };
    case 'yarn':
      return {
        'rope.scaling.type': { text: 'yarn' },
        'rope.scaling.factor': { f32: scaling.factor },
        'rope.scaling.original_context_length': { u32: scaling.originalMaxPositions },
      };
    case 'longrope':
      return {
        'rope.scaling.original_context_length': { u32: scaling.originalMaxPositions },
        'rope.scaling.attn_factor': { f32: scaling.attentionFactor },
      };
    default:
      throw new RangeError(`GGUF cannot hold ${scaling.kind} scaling`);
  }
}

const classNames: Readonly<Record<Family, readonly [modelType: string, name: string]>> = {
  llama: ['llama', 'LlamaForCausalLM'],
  qwen2: ['qwen2', 'Qwen2ForCausalLM'],
  qwen3: ['qwen3', 'Qwen3ForCausalLM'],
  gemma2: ['gemma2', 'Gemma2ForCausalLM'],
  gemma3: ['gemma3_text', 'Gemma3ForCausalLM'],
  phi3: ['phi3', 'Phi3ForCausalLM'],
};

export function huggingFaceConfig(config: ModelConfig): object {
  const { architecture, slidingWindow, ropeScaling } = config;
  const [modelType, className] = classNames[architecture];
  const isLlama = architecture === 'llama';
  const isGemma = architecture === 'gemma2' || architecture === 'gemma3';
  const isQwen = architecture === 'qwen2' || architecture === 'qwen3';
  return {
    architectures: [isLlama && slidingWindow !== undefined ? 'MistralForCausalLM' : className],
    model_type: isLlama && slidingWindow !== undefined ? 'mistral' : modelType,
    ...(isGemma ? { hidden_activation: 'gelu_pytorch_tanh' } : { hidden_act: 'silu' }),
    num_hidden_layers: config.numLayers,
    hidden_size: config.hiddenSize,
    intermediate_size: config.ffnSize,
    num_attention_heads: config.numQueryHeads,
    num_key_value_heads: config.numKvHeads,
    head_dim: config.headDim,
    ...(config.ropeDims !== config.headDim && { partial_rotary_factor: config.ropeDims / config.headDim }),
    // Dynamic scaling counts from the trained length, which is what the file then says.
    max_position_embeddings: ropeScaling.kind === 'dynamic' ? ropeScaling.originalMaxPositions : config.maxPositions,
    ...(ropeScaling.kind === 'longrope' && { original_max_position_embeddings: ropeScaling.originalMaxPositions }),
    rms_norm_eps: config.normEpsilon,
    rope_theta: config.ropeTheta,
    rope_scaling: scalingJson(ropeScaling),
    ...(architecture === 'gemma3' && { rope_local_base_freq: config.slidingRopeTheta }),
    ...(isGemma && {
      query_pre_attn_scalar: Math.round(config.softmaxScale ** -2),
      attn_logit_softcapping: config.attentionSoftCap ?? null,
      final_logit_softcapping: config.finalSoftCap ?? null,
    }),
    ...(isQwen && { use_sliding_window: slidingWindow !== undefined, max_window_layers: 0 }),
    sliding_window: slidingWindow ?? null,
    vocab_size: config.vocabSize,
    tie_word_embeddings: config.tiedEmbeddings,
    ...(isLlama && { attention_bias: false, mlp_bias: false }),
    bos_token_id: 1,
    eos_token_id: 2,
    pad_token_id: 0,
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
        attention_factor: scaling.attentionFactor,
      };
    case 'factors':
      throw new RangeError('config.json cannot hold factors');
  }
}
