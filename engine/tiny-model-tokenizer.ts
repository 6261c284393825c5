/** The tokenizer of generated test models: all bytes, a few merges of English, and the markers of a chat. */

/** Merges in order; the result of each is a token. `Ġ` stands for a space, as in every byte-level vocabulary. */
const merges =
  'Ġ t|Ġ a|h e|i n|e r|Ġt he|o n|r e|a t|e n|Ġ s|Ġ w|n d|o r|Ġ o|i s|Ġ c|in g|Ġ b|e s|a n|Ġ i|Ġo f|Ġa nd|Ġ m|e d|i t|o u|Ġi n|l l|k e|Ġ k|Ġk e|Ġke y|m e|Ġ n|u m|b er|Ġn um|Ġnum ber|Ġi s|Ġ Ġ'.split(
    '|',
  );

export const tinySpecials = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'] as const;
export const tinyStopId = 2;

export const tinyChatTemplate =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

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

/** `tokenizer.json` of the vocabulary: digits apart, then the pattern of GPT-2, then bytes. */
export function tinyTokenizerJson(vocab: number): object {
  const { tokens, merges: kept } = tinyVocabulary(vocab);
  const added = tinySpecials.map((content, id) => ({
    id,
    content,
    lstrip: false,
    rstrip: false,
    single_word: false,
    normalized: false,
    special: true,
  }));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel] },
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: kept,
    },
  };
}
