/** Our names for the tensors of a model, and what the file formats call them. */
import type { ModelConfig } from './config.js';

/** Canonical names: `embedding`, `layers.<n>.<part>`, `output.norm`, `output` (the LM head, absent when tied). */
export type LayerTensor =
  | 'attention.norm'
  | 'attention.q'
  | 'attention.k'
  | 'attention.v'
  | 'attention.output'
  | 'ffn.norm'
  | 'ffn.gate'
  | 'ffn.up'
  | 'ffn.down';

export interface ExpectedTensor {
  readonly name: string;
  readonly gguf: string;
  readonly huggingFace: string;
  /** [rows, cols], or [length] of a vector. */
  readonly shape: readonly number[];
  /** Heads whose rows GGUF stores with interleaved rotary pairs; 0: none. */
  readonly rotaryHeads: number;
}

const layerNames: Readonly<Record<LayerTensor, { readonly gguf: string; readonly huggingFace: string }>> = {
  'attention.norm': { gguf: 'attn_norm', huggingFace: 'input_layernorm' },
  'attention.q': { gguf: 'attn_q', huggingFace: 'self_attn.q_proj' },
  'attention.k': { gguf: 'attn_k', huggingFace: 'self_attn.k_proj' },
  'attention.v': { gguf: 'attn_v', huggingFace: 'self_attn.v_proj' },
  'attention.output': { gguf: 'attn_output', huggingFace: 'self_attn.o_proj' },
  'ffn.norm': { gguf: 'ffn_norm', huggingFace: 'post_attention_layernorm' },
  'ffn.gate': { gguf: 'ffn_gate', huggingFace: 'mlp.gate_proj' },
  'ffn.up': { gguf: 'ffn_up', huggingFace: 'mlp.up_proj' },
  'ffn.down': { gguf: 'ffn_down', huggingFace: 'mlp.down_proj' },
};

/** Every tensor that a model of this configuration must have, with its shape. */
export function expectedTensors(config: ModelConfig): ExpectedTensor[] {
  const { hiddenSize, ffnSize, headDim, numQueryHeads, numKvHeads, vocabSize } = config;
  const shapes: Readonly<Record<LayerTensor, readonly number[]>> = {
    'attention.norm': [hiddenSize],
    'attention.q': [numQueryHeads * headDim, hiddenSize],
    'attention.k': [numKvHeads * headDim, hiddenSize],
    'attention.v': [numKvHeads * headDim, hiddenSize],
    'attention.output': [hiddenSize, numQueryHeads * headDim],
    'ffn.norm': [hiddenSize],
    'ffn.gate': [ffnSize, hiddenSize],
    'ffn.up': [ffnSize, hiddenSize],
    'ffn.down': [hiddenSize, ffnSize],
  };
  const rotary: Partial<Record<LayerTensor, number>> = { 'attention.q': numQueryHeads, 'attention.k': numKvHeads };
  const tensors: ExpectedTensor[] = [
    {
      name: 'embedding',
      gguf: 'token_embd.weight',
      huggingFace: 'model.embed_tokens.weight',
      shape: [vocabSize, hiddenSize],
      rotaryHeads: 0,
    },
    {
      name: 'output.norm',
      gguf: 'output_norm.weight',
      huggingFace: 'model.norm.weight',
      shape: [hiddenSize],
      rotaryHeads: 0,
    },
  ];
  if (!config.tiedEmbeddings) {
    tensors.push({
      name: 'output',
      gguf: 'output.weight',
      huggingFace: 'lm_head.weight',
      shape: [vocabSize, hiddenSize],
      rotaryHeads: 0,
    });
  }
  for (let layer = 0; layer < config.numLayers; layer++) {
    for (const part of Object.keys(layerNames) as LayerTensor[]) {
      tensors.push({
        name: `layers.${layer}.${part}`,
        gguf: `blk.${layer}.${layerNames[part].gguf}.weight`,
        huggingFace: `model.layers.${layer}.${layerNames[part].huggingFace}.weight`,
        shape: shapes[part],
        rotaryHeads: rotary[part] ?? 0,
      });
    }
  }
  return tensors;
}
