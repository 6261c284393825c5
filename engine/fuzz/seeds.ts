/** Sound files that damage starts from: tiny models in both formats, their tokenizers, templates and settings. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tinyConfig, tinyTensors, writeTinyModel } from '../tiny-model.js';
import { type FileValue, ggufBytes } from '../tiny-model-files.js';
import { tinyChatTemplate } from '../tiny-model-tokenizer.js';

const shape = { layers: 1, hiddenSize: 32, queryHeads: 2, kvHeads: 1, headDim: 16, ffn: 32, vocab: 262 } as const;

export interface Seeds {
  readonly gguf: readonly Buffer[];
  readonly safetensors: Buffer;
  readonly index: unknown;
  /** JSON files of a Hugging Face directory by name. */
  readonly json: Readonly<Record<string, unknown>>;
  readonly tokenizers: readonly unknown[];
  readonly templates: readonly string[];
}

export function makeSeeds(): Seeds {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-fuzz-seeds-'));
  try {
    const directory = writeTinyModel(join(folder, 'hf'), { ...shape, format: 'safetensors' });
    const sharded = writeTinyModel(join(folder, 'sharded'), { ...shape, format: 'safetensors', shards: 3 });
    const json = (name: string, at = directory): unknown => JSON.parse(readFileSync(join(at, name), 'utf8'));
    const factors = Array.from({ length: 8 }, (_, pair) => 1 + pair);
    const gguf = [
      writeTinyModel(join(folder, 'plain'), shape),
      writeTinyModel(join(folder, 'q'), { ...shape, type: 'Q5_1', ropeScaling: { kind: 'factors', factors } }),
    ].map((path) => readFileSync(path));
    return {
      gguf: [...gguf, sentencePieceGguf()],
      safetensors: readFileSync(join(directory, 'model.safetensors')),
      index: json('model.safetensors.index.json', sharded),
      json: {
        'config.json': {
          ...(json('config.json') as object),
          rope_scaling: {
            rope_type: 'llama3',
            factor: 8,
            low_freq_factor: 1,
            high_freq_factor: 4,
            original_max_position_embeddings: 64,
          },
        },
        'generation_config.json': { bos_token_id: 1, eos_token_id: [2, 0], do_sample: false },
        'tokenizer_config.json': json('tokenizer_config.json'),
      },
      tokenizers: [json('tokenizer.json'), sentencePieceJson()],
      templates: [tinyChatTemplate, llamaLikeTemplate],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const pieces = [
  '<unk>',
  '<s>',
  '</s>',
  ...Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
];
const words = ['▁', 't', 'h', 'e', '▁t', 'he', '▁the', 'k', 'y', '▁k', 'ey', '▁key', '4', '2'];

function sentencePieceGguf(): Buffer {
  const tokens = [...pieces, ...words];
  const config = tinyConfig({ ...shape, vocab: tokens.length });
  const metadata: Record<string, FileValue> = {
    'general.architecture': { text: 'llama' },
    'general.name': { text: 'sentencepiece' },
    'llama.block_count': { u32: 1 },
    'llama.context_length': { u32: 512 },
    'llama.embedding_length': { u32: shape.hiddenSize },
    'llama.feed_forward_length': { u32: shape.ffn },
    'llama.attention.head_count': { u32: 2 },
    'llama.attention.head_count_kv': { u32: 1 },
    'llama.attention.layer_norm_rms_epsilon': { f32: 1e-5 },
    'llama.rope.dimension_count': { u32: 16 },
    'llama.rope.scaling.type': { text: 'linear' },
    'llama.rope.scaling.factor': { f32: 2 },
    'tokenizer.ggml.model': { text: 'llama' },
    'tokenizer.ggml.tokens': { texts: tokens },
    'tokenizer.ggml.scores': { f32s: tokens.map((_, id) => -id) },
    'tokenizer.ggml.token_type': { i32s: tokens.map((_, id) => (id < 3 ? 3 : id < 259 ? 6 : 1)) },
    'tokenizer.ggml.bos_token_id': { u32: 1 },
    'tokenizer.ggml.eos_token_id': { u32: 2 },
    'tokenizer.ggml.unknown_token_id': { u32: 0 },
    'tokenizer.ggml.add_space_prefix': { bool: true },
    'tokenizer.chat_template': { text: llamaLikeTemplate },
  };
  return Buffer.from(ggufBytes(metadata, tinyTensors(config, { format: 'gguf', seed: 1, type: 'F16' })));
}

function sentencePieceJson(): unknown {
  const tokens = [...pieces, ...words];
  return {
    added_tokens: [0, 1, 2].map((id) => ({ id, content: tokens[id], special: true })),
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    pre_tokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      unk_token: '<unk>',
      byte_fallback: true,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: ['▁ t', 'h e', '▁t he', '▁ k', 'e y', '▁k ey'],
    },
  };
}

const llamaLikeTemplate = `{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system = messages[0]['content'] | trim %}{% else %}{% set loop_messages = messages %}{% set system = '' %}{% endif %}{{ bos_token }}{% if system %}<<SYS>>{{ system + '\\n' }}<</SYS>>{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{% if message['role'] == 'user' %}[INST] {{ message['content'] | trim }} [/INST]{% else %}{{ message['content'] ~ eos_token }}{% endif %}{% endfor %}{% set ns = namespace(n=0) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% endfor %}{{ strftime_now('%d %b %Y') if ns.n > 4 }}`;
