/** Our names for the tensors of a model, and what the file formats call them. */
import type { ModelConfig } from './config.js';
import { isGemma } from './config-families.js';

/** Canonical names: `embedding`, `layers.<n>.<part>`, `output.norm`, `output` (the LM head, absent when tied). */
export type LayerTensor =
  | 'attention.norm'
  | 'attention.q'
  | 'attention.k'
  | 'attention.v'
  | 'attention.q.bias'
  | 'attention.k.bias'
  | 'attention.v.bias'
  | 'attention.q.norm'
  | 'attention.k.norm'
  | 'attention.output'
  | 'attention.postNorm'
  | 'ffn.norm'
  | 'ffn.gate'
  | 'ffn.up'
  | 'ffn.down'
  | 'ffn.postNorm';

export interface ExpectedTensor {
  readonly name: string;
  readonly gguf: string;
  readonly huggingFace: string;
  /** [rows, cols], or [length] of a vector. */
  readonly shape: readonly number[];
  /** Heads whose rows GGUF stores with interleaved rotary pairs; 0: none. */
  readonly rotaryHeads: number;
  /** The files hold it as rows of a larger matrix: its first row there, and the rows of the whole. */
  readonly within?: { readonly firstRow: number; readonly rows: number };
}

interface Names {
  readonly gguf: string;
  readonly huggingFace: string;
}

const names = (gguf: string, huggingFace: string): Names => ({
  gguf: `${gguf}.weight`,
  huggingFace: `${huggingFace}.weight`,
});
const biasNames = (letter: string): Names => ({
  gguf: `attn_${letter}.bias`,
  huggingFace: `self_attn.${letter}_proj.bias`,
});

const layerNames: Readonly<Record<LayerTensor, Names>> = {
  'attention.norm': names('attn_norm', 'input_layernorm'),
  'attention.q': names('attn_q', 'self_attn.q_proj'),
  'attention.k': names('attn_k', 'self_attn.k_proj'),
  'attention.v': names('attn_v', 'self_attn.v_proj'),
  'attention.q.bias': biasNames('q'),
  'attention.k.bias': biasNames('k'),
  'attention.v.bias': biasNames('v'),
  'attention.q.norm': names('attn_q_norm', 'self_attn.q_norm'),
  'attention.k.norm': names('attn_k_norm', 'self_attn.k_norm'),
  'attention.output': names('attn_output', 'self_attn.o_proj'),
  'attention.postNorm': names('post_attention_norm', 'post_attention_layernorm'),
  'ffn.norm': names('ffn_norm', 'post_attention_layernorm'),
  'ffn.gate': names('ffn_gate', 'mlp.gate_proj'),
  'ffn.up': names('ffn_up', 'mlp.up_proj'),
  'ffn.down': names('ffn_down', 'mlp.down_proj'),
  'ffn.postNorm': names('post_ffw_norm', 'post_feedforward_layernorm'),
};

/** Phi-3 stores the projections that share an input as one matrix each. */
const fusedQkv = names('attn_qkv', 'self_attn.qkv_proj');
const fusedGateUp = names('ffn_up', 'mlp.gate_up_proj');

type LayerPart = Omit<ExpectedTensor, 'name' | 'gguf' | 'huggingFace'> & Names;

/** Tensors of one layer under the names inside it. */
function layerParts(config: ModelConfig): Map<LayerTensor, LayerPart> {
  const { architecture, hiddenSize, ffnSize, headDim, numQueryHeads, numKvHeads } = config;
  const qRows = numQueryHeads * headDim;
  const kvRows = numKvHeads * headDim;
  const parts = new Map<LayerTensor, LayerPart>();
  const put = (part: LayerTensor, shape: readonly number[], said: Partial<LayerPart> = {}): void =>
    void parts.set(part, { ...layerNames[part], shape, rotaryHeads: 0, ...said });
  const fused = (whole: Names, firstRow: number, rows: number): Partial<LayerPart> =>
    architecture === 'phi3' ? { ...whole, within: { firstRow, rows } } : {};

  put('attention.norm', [hiddenSize]);
  // Only files of the llama recipe interleave; they are never fused.
  const rotary = (heads: number): number => (architecture === 'llama' ? heads : 0);
  const qkvRows = qRows + 2 * kvRows;
  put('attention.q', [qRows, hiddenSize], { rotaryHeads: rotary(numQueryHeads), ...fused(fusedQkv, 0, qkvRows) });
  put('attention.k', [kvRows, hiddenSize], { rotaryHeads: rotary(numKvHeads), ...fused(fusedQkv, qRows, qkvRows) });
  put('attention.v', [kvRows, hiddenSize], fused(fusedQkv, qRows + kvRows, qkvRows));
  if (config.qkvBias) {
    put('attention.q.bias', [qRows]);
    put('attention.k.bias', [kvRows]);
    put('attention.v.bias', [kvRows]);
  }
  if (config.qkNorm) {
    put('attention.q.norm', [headDim]);
    put('attention.k.norm', [headDim]);
  }
  put('attention.output', [hiddenSize, qRows]);
  if (config.postNorms) put('attention.postNorm', [hiddenSize]);
  put('ffn.norm', [hiddenSize], isGemma(architecture) ? names('ffn_norm', 'pre_feedforward_layernorm') : {});
  put('ffn.gate', [ffnSize, hiddenSize], fused(fusedGateUp, 0, 2 * ffnSize));
  put('ffn.up', [ffnSize, hiddenSize], fused(fusedGateUp, ffnSize, 2 * ffnSize));
  put('ffn.down', [hiddenSize, ffnSize]);
  if (config.postNorms) put('ffn.postNorm', [hiddenSize]);
  return parts;
}

/** Every tensor that a model of this configuration must have, with its shape. */
export function expectedTensors(config: ModelConfig): ExpectedTensor[] {
  const { hiddenSize, vocabSize } = config;
  const outside = (name: string, gguf: string, huggingFace: string, shape: readonly number[]): ExpectedTensor => ({
    name,
    ...names(gguf, huggingFace),
    shape,
    rotaryHeads: 0,
  });
  const tensors = [
    outside('embedding', 'token_embd', 'model.embed_tokens', [vocabSize, hiddenSize]),
    outside('output.norm', 'output_norm', 'model.norm', [hiddenSize]),
  ];
  if (!config.tiedEmbeddings) tensors.push(outside('output', 'output', 'lm_head', [vocabSize, hiddenSize]));
  const parts = layerParts(config);
  for (let layer = 0; layer < config.numLayers; layer++) {
    for (const [part, { gguf, huggingFace, ...rest }] of parts) {
      tensors.push({
        name: `layers.${layer}.${part}`,
        gguf: `blk.${layer}.${gguf}`,
        huggingFace: `model.layers.${layer}.${huggingFace}`,
        ...rest,
      });
    }
  }
  return tensors;
}
