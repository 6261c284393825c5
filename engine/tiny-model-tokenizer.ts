/**
 * Tokenizers of generated test models, built as those of their families are: byte-level BPE with a few merges of English, or
 * SentencePiece pieces with byte fallback (Gemma, Phi-3). All bytes are there, and the markers of a chat.
 */
import type { Family } from './config.js';
import type { FileValue } from './tiny-model-files.js';
import { mergesFromScores } from './tokenizer-merges.js';

/** Merges in order; the result of each is a token. `Ġ` stands for a space, as in every byte-level vocabulary. */
const merges =
  'Ġ t|Ġ a|h e|i n|e r|Ġt he|o n|r e|a t|e n|Ġ s|Ġ w|n d|o r|Ġ o|i s|Ġ c|in g|Ġ b|e s|a n|Ġ i|Ġo f|Ġa nd|Ġ m|e d|i t|o u|Ġi n|l l|k e|Ġ k|Ġk e|Ġke y|m e|Ġ n|u m|b er|Ġn um|Ġnum ber|Ġi s|Ġ Ġ'.split(
    '|',
  );

export const tinySpecials = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'] as const;
export const tinyStopId = 2;

export const tinyChatTemplate =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** Markers and template of the SentencePiece families, in our own words but with their rules: no system role in Gemma. */
const pieceFamilies = {
  gemma: {
    specials: ['<pad>', '<eos>', '<bos>', '<unk>', '<start_of_turn>', '<end_of_turn>'],
    bos: '<bos>',
    eos: '<eos>',
    addsSpace: false,
    template:
      "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}",
  },
  phi3: {
    specials: ['<unk>', '<s>', '</s>', '<|endoftext|>', '<|assistant|>', '<|end|>'],
    bos: '<s>',
    eos: '<|endoftext|>',
    addsSpace: true,
    template:
      "{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}",
  },
} as const;

const piecesOf = (family: Family) =>
  family === 'gemma2' || family === 'gemma3' ? pieceFamilies.gemma : family === 'phi3' ? pieceFamilies.phi3 : undefined;

export interface TinyVocabulary {
  readonly tokens: readonly string[];
  readonly merges: readonly string[];
}

/** As many merges as fit: a vocabulary of n holds 3 markers, 256 bytes and the first n - 259 merges. */
export function tinyVocabulary(vocab: number): TinyVocabulary {
  const kept = merges.slice(0, Math.max(0, vocab - tinySpecials.length - 256));
  const isVisible = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  const bytes = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isVisible(byte) ? byte : next++));
  return { tokens: [...tinySpecials, ...bytes, ...kept.map((merge) => merge.replace(' ', ''))], merges: kept };
}

/** Markers, byte tokens, then letters and joined pieces; scores fall with the place, and merges follow from them as conversions do it. */
function pieceVocabulary(specials: readonly string[], vocab: number): TinyVocabulary {
  const tokens = [
    ...specials,
    ...Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  ];
  for (const letter of ['▁', ...'etaoinshrdlcumwfgypbvk']) if (tokens.length < vocab) tokens.push(letter);
  for (const merge of merges) {
    const pair = merge.replaceAll('Ġ', '▁');
    if (tokens.length >= vocab) break;
    if (!pair.split(' ').every((part) => tokens.includes(part))) continue;
    tokens.push(pair.replace(' ', ''));
  }
  const scores = tokens.map((_, id) => -id);
  const kept = mergesFromScores(tokens, scores, (id) => id < specials.length + 256);
  return { tokens, merges: kept.map((pair) => pair.join(' ')) };
}

/** `tokenizer.json` and `tokenizer_config.json`. */
export function tinyTokenizerFiles(
  family: Family,
  vocab: number,
): { readonly tokenizer: object; readonly settings: object } {
  const pieces = piecesOf(family);
  if (pieces === undefined) {
    return {
      tokenizer: tinyTokenizerJson(vocab),
      settings: {
        bos_token: '<|im_start|>',
        eos_token: '<|im_end|>',
        chat_template: tinyChatTemplate,
        clean_up_tokenization_spaces: false,
      },
    };
  }
  const vocabulary = pieceVocabulary(pieces.specials, vocab);
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  const decoders = [
    { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
  ];
  return {
    tokenizer: tokenizerJson(vocabulary, pieces.specials, {
      normalizer: pieces.addsSpace
        ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, replace] }
        : replace,
      pre_tokenizer: pieces.addsSpace
        ? null
        : { type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious', invert: false },
      decoder: {
        type: 'Sequence',
        decoders: pieces.addsSpace ? [...decoders, { type: 'Strip', content: ' ', start: 1, stop: 0 }] : decoders,
      },
      byteFallback: true,
    }),
    settings: { bos_token: pieces.bos, eos_token: pieces.eos, unk_token: '<unk>', chat_template: pieces.template },
  };
}

/** `tokenizer.json` of the byte-level vocabulary: digits apart, then the pattern of GPT-2, then bytes. */
export function tinyTokenizerJson(vocab: number): object {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return tokenizerJson(tinyVocabulary(vocab), tinySpecials, {
    normalizer: null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel] },
    decoder: byteLevel,
    byteFallback: false,
  });
}

interface Steps {
  readonly normalizer: object | null;
  readonly pre_tokenizer: object | null;
  readonly decoder: object;
  readonly byteFallback: boolean;
}

function tokenizerJson(
  { tokens, merges: kept }: TinyVocabulary,
  specials: readonly string[],
  { byteFallback, ...steps }: Steps,
): object {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specials.map((content, id) => ({
      id,
      content,
      lstrip: false,
      rstrip: false,
      single_word: false,
      normalized: false,
      special: true,
    })),
    ...steps,
    post_processor: null,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: byteFallback ? '<unk>' : null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: byteFallback,
      byte_fallback: byteFallback,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: kept,
    },
  };
}

/** The same in GGUF's words. */
export function tinyTokenizerMetadata(family: Family, vocab: number): Record<string, FileValue> {
  const pieces = piecesOf(family);
  if (pieces === undefined) {
    const { tokens, merges: kept } = tinyVocabulary(vocab);
    return {
      'tokenizer.ggml.model': { text: 'gpt2' },
      'tokenizer.ggml.pre': { text: 'smollm' },
      'tokenizer.ggml.tokens': { texts: tokens },
      'tokenizer.ggml.token_type': { i32s: tokens.map((_, id) => (id < tinySpecials.length ? 3 : 1)) },
      'tokenizer.ggml.merges': { texts: kept },
      'tokenizer.ggml.bos_token_id': { u32: 1 },
      'tokenizer.ggml.eos_token_id': { u32: tinyStopId },
      'tokenizer.ggml.add_bos_token': { bool: false },
      'tokenizer.chat_template': { text: tinyChatTemplate },
    };
  }
  const { specials, bos, eos, addsSpace, template } = pieces;
  const { tokens } = pieceVocabulary(specials, vocab);
  const typeOf = (token: string, id: number): number =>
    token === '<unk>' ? 2 : id < specials.length ? 3 : token.startsWith('<0x') ? 6 : 1;
  return {
    'tokenizer.ggml.model': { text: 'llama' },
    'tokenizer.ggml.tokens': { texts: tokens },
    'tokenizer.ggml.scores': { f32s: tokens.map((_, id) => -id) },
    'tokenizer.ggml.token_type': { i32s: tokens.map(typeOf) },
    'tokenizer.ggml.bos_token_id': { u32: specials.indexOf(bos as never) },
    'tokenizer.ggml.eos_token_id': { u32: specials.indexOf(eos as never) },
    'tokenizer.ggml.unknown_token_id': { u32: specials.indexOf('<unk>' as never) },
    'tokenizer.ggml.add_space_prefix': { bool: addsSpace },
    'tokenizer.chat_template': { text: template },
  };
}
