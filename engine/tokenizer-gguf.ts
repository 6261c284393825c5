/** A tokenizer from the metadata of a GGUF file, written as the `tokenizer.json` that it was converted from. */
import { WinnowError } from '../core/errors.js';
import type { Gguf, GgufValue } from './gguf.js';
import { mergesFromScores } from './tokenizer-merges.js';
import { gpt2Pattern, spaceMark } from './tokenizer-rules.js';
import { type AddedTokenJson, collectStopIds, type TokenizerJson, type TokenizerSource } from './tokenizer-source.js';

const llama3Pattern =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

const qwen2Pattern = llama3Pattern.replace('\\p{N}{1,3}', '\\p{N}');

/** `tokenizer.ggml.pre`: patterns applied one after another, each cutting the pieces of the one before. */
const preTokenizers: Readonly<
  Record<string, { readonly patterns: readonly string[]; readonly ignoreMerges: boolean; readonly composes?: boolean }>
> = {
  'gpt-2': { patterns: [gpt2Pattern], ignoreMerges: false },
  smollm: { patterns: ['\\p{N}', gpt2Pattern], ignoreMerges: false },
  'llama-bpe': { patterns: [llama3Pattern], ignoreMerges: true },
  'llama-v3': { patterns: [llama3Pattern], ignoreMerges: true },
  llama3: { patterns: [llama3Pattern], ignoreMerges: true },
  qwen2: { patterns: [qwen2Pattern], ignoreMerges: false, composes: true },
};

const tokenTypes = { normal: 1, control: 3, userDefined: 4 } as const;
/** Far longer than any token of a SentencePiece vocabulary; every cut of each is tried. */
const longestToken = 512;

/** Throws: ERR_UNSUPPORTED for a tokenizer or pre-tokenizer that we do not know, ERR_MODEL_FORMAT for lists that do not fit. */
export function tokenizerFromGguf(gguf: Gguf): TokenizerSource {
  const model = gguf.metadata.get('tokenizer.ggml.model');
  if (model !== 'gpt2' && model !== 'llama') {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${gguf.path}, tokenizer.ggml.model`,
      'gpt2 or llama',
      model ?? 'no tokenizer',
    );
  }
  const tokens = strings(gguf, 'tokenizer.ggml.tokens');
  const embeddingRows = gguf.tensors.get('token_embd.weight')?.shape[0] ?? tokens.length;
  if (tokens.length < 1 || tokens.length > embeddingRows) {
    throw new WinnowError(
      'ERR_MODEL_FORMAT',
      `${gguf.path}, tokenizer.ggml.tokens`,
      `1 to ${embeddingRows} tokens (rows of the embedding)`,
      tokens.length,
    );
  }
  const added = withStrips(gguf, addedTokens(gguf, tokens));
  const { name, json } = model === 'gpt2' ? byteLevel(gguf, tokens, added) : sentencePiece(gguf, tokens, added);
  const tokenId = (key: string): number | undefined => {
    const value = gguf.metadata.get(`tokenizer.ggml.${key}`);
    return typeof value === 'number' && value < tokens.length ? value : undefined;
  };
  const text = (key: string): string | undefined => tokens[tokenId(key) ?? -1];
  const specials = {
    bos: text('bos_token_id'),
    eos: text('eos_token_id'),
    unk: text('unknown_token_id'),
    pad: text('padding_token_id'),
  };
  const ends = ['eos_token_id', 'eot_token_id', 'eom_token_id'].map(tokenId).filter((id) => id !== undefined);
  const template = gguf.metadata.get('tokenizer.chat_template');
  return {
    where: gguf.path,
    name,
    json,
    specials: Object.fromEntries(Object.entries(specials).filter(([, value]) => value !== undefined)),
    stopIds: collectStopIds(ends, added),
    chatTemplate: typeof template === 'string' ? template : undefined,
    startText: startsWithBos(gguf) ? specials.bos : undefined,
  };
}

/** Files that do not say it follow the habit of their kind: SentencePiece texts begin with the token, byte-level ones do not. */
const startsWithBos = ({ metadata }: Gguf): boolean =>
  (metadata.get('tokenizer.ggml.add_bos_token') ?? metadata.get('tokenizer.ggml.model') === 'llama') === true;

type Built = { readonly name: string; readonly json: TokenizerJson };

function byteLevel(gguf: Gguf, tokens: readonly string[], added: AddedTokenJson[]): Built {
  const pre = gguf.metadata.get('tokenizer.ggml.pre');
  const known = typeof pre === 'string' && Object.hasOwn(preTokenizers, pre) ? preTokenizers[pre] : undefined;
  if (known === undefined) {
    const supported = Object.keys(preTokenizers).join(', ');
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${gguf.path}, tokenizer.ggml.pre`,
      `one of ${supported}`,
      pre,
      'Use the Hugging Face directory of this model instead.',
    );
  }
  const splits = known.patterns.map((pattern) => ({
    type: 'Split',
    pattern: { Regex: pattern },
    behavior: 'Isolated',
    invert: false,
  }));
  return {
    name: `gpt2/${String(pre)}`,
    json: {
      added_tokens: added,
      normalizer: known.composes === true ? { type: 'NFC' } : null,
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [...splits, { type: 'ByteLevel', add_prefix_space: false, use_regex: false }],
      },
      decoder: { type: 'ByteLevel' },
      model: {
        type: 'BPE',
        vocab: vocabulary(tokens),
        merges: [...strings(gguf, 'tokenizer.ggml.merges')],
        ignore_merges: known.ignoreMerges,
      },
    },
  };
}

function sentencePiece(gguf: Gguf, tokens: readonly string[], added: AddedTokenJson[]): Built {
  const scores = gguf.metadata.get('tokenizer.ggml.scores');
  if (!isNumbers(scores) || scores.length !== tokens.length) {
    throw new WinnowError(
      'ERR_MODEL_FORMAT',
      `${gguf.path}, tokenizer.ggml.scores`,
      `${tokens.length} scores, one per token`,
      isNumbers(scores) ? scores.length : scores,
    );
  }
  const tooLong = tokens.findIndex((token) => token.length > longestToken);
  if (tooLong >= 0)
    throw new WinnowError(
      'ERR_MODEL_FORMAT',
      `${gguf.path}, token ${tooLong}`,
      `at most ${longestToken} characters`,
      tokens[tooLong]!.length,
    );
  const types = gguf.metadata.get('tokenizer.ggml.token_type');
  const isNoPiece = (id: number): boolean => isNumbers(types) && types[id] !== tokenTypes.normal;
  const hasPrefix = gguf.metadata.get('tokenizer.ggml.add_space_prefix') !== false;
  const unknown = gguf.metadata.get('tokenizer.ggml.unknown_token_id');
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: spaceMark };
  const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 };
  const decoders = [
    { type: 'Replace', pattern: { String: spaceMark }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
  ];
  return {
    name: 'llama',
    json: {
      added_tokens: added,
      normalizer: {
        type: 'Sequence',
        normalizers: [...(hasPrefix ? [{ type: 'Prepend', prepend: spaceMark }] : []), replace],
      },
      pre_tokenizer: null,
      decoder: { type: 'Sequence', decoders: hasPrefix ? [...decoders, strip] : decoders },
      model: {
        type: 'BPE',
        vocab: vocabulary(tokens),
        merges: mergesFromScores(tokens, scores, isNoPiece),
        unk_token: tokens[typeof unknown === 'number' ? unknown : -1] ?? null,
        byte_fallback: true,
      },
    },
  };
}

function vocabulary(tokens: readonly string[]): Record<string, number> {
  const vocab: Record<string, number> = Object.create(null);
  tokens.forEach((token, id) => {
    vocab[token] = id;
  });
  return vocab;
}

function addedTokens(gguf: Gguf, tokens: readonly string[]): AddedTokenJson[] {
  const types = gguf.metadata.get('tokenizer.ggml.token_type');
  if (types === undefined) return [];
  if (!isNumbers(types) || types.length !== tokens.length) {
    throw new WinnowError(
      'ERR_MODEL_FORMAT',
      `${gguf.path}, tokenizer.ggml.token_type`,
      `${tokens.length} numbers, one per token`,
      isNumbers(types) ? types.length : types,
    );
  }
  const added: AddedTokenJson[] = [];
  tokens.forEach((content, id) => {
    const isControl = types[id] === tokenTypes.control;
    if ((!isControl && types[id] !== tokenTypes.userDefined) || content === '') return;
    added.push({
      id,
      content,
      lstrip: false,
      rstrip: false,
      single_word: false,
      normalized: false,
      special: isControl,
    });
  });
  return added;
}

/** Tokens of Phi-3's chat take the white space behind them, which GGUF does not say; the three that do not are named. */
function withStrips(gguf: Gguf, added: AddedTokenJson[]): AddedTokenJson[] {
  if (gguf.metadata.get('general.architecture') !== 'phi3') return added;
  const plain = new Set(['<unk>', '<s>', '<|endoftext|>']);
  return added.map((token) => ({ ...token, rstrip: token.special && !plain.has(token.content) }));
}

function strings(gguf: Gguf, key: string): readonly string[] {
  const value = gguf.metadata.get(key);
  if (Array.isArray(value)) return value;
  throw new WinnowError(
    'ERR_MODEL_FORMAT',
    `${gguf.path}, ${key}`,
    'an array of strings',
    value === undefined ? value : 'something else',
  );
}

const isNumbers = (value: GgufValue | undefined): value is Float32Array => ArrayBuffer.isView(value);
