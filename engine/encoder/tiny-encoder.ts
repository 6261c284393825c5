/** Small random encoders for tests. */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** 36 words of one letter or digit, as ids from 4. */
const words = [...'abcdefghijklmnopqrstuvwxyz0123456789'];
const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]'];
const added = special.map((content, id) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
}));
const token = (id: string, kind: number) => ({ SpecialToken: { id, type_id: kind } });
const tokenizerJson = {
  version: '1.0',
  truncation: { max_length: 4, strategy: 'LongestFirst', stride: 0 },
  padding: null,
  added_tokens: added,
  normalizer: {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [token('[CLS]', 0), { Sequence: { id: 'A', type_id: 0 } }, token('[SEP]', 0)],
    pair: [
      token('[CLS]', 0),
      { Sequence: { id: 'A', type_id: 0 } },
      token('[SEP]', 0),
      { Sequence: { id: 'B', type_id: 1 } },
      token('[SEP]', 1),
    ],
    special_tokens: {
      '[CLS]': { id: '[CLS]', ids: [2], tokens: ['[CLS]'] },
      '[SEP]': { id: '[SEP]', ids: [3], tokens: ['[SEP]'] },
    },
  },
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries([...special, ...words].map((word, id) => [word, id])),
  },
};

export interface TinyEncoderSettings {
  readonly pooling?: 'cls' | 'mean';
  readonly normalise?: boolean;
  readonly maxTokens?: number;
}
/** One of the recorded checkpoints (scripts/record-encoder.py) with a tokenizer and settings of pooling; returns the folder. */
export const writeTinyEncoder = (folder: string, name = 'bert', settings: TinyEncoderSettings = {}): string => {
  cpSync(join(import.meta.dirname, 'fixtures', name), folder, { recursive: true });
  const json = (file: string, value: unknown): void => writeFileSync(join(folder, file), JSON.stringify(value));
  json('tokenizer.json', tokenizerJson);
  json('tokenizer_config.json', { tokenizer_class: 'BertTokenizer' });
  if (settings.maxTokens !== undefined) json('sentence_bert_config.json', { max_seq_length: settings.maxTokens });
  if (settings.pooling === undefined) return folder;
  const modules = ['Transformer', 'Pooling', ...(settings.normalise === true ? ['Normalize'] : [])];
  json(
    'modules.json',
    modules.map((type, idx) => ({ idx, path: `${idx}_${type}`, type: `sentence_transformers.models.${type}` })),
  );
  mkdirSync(join(folder, '1_Pooling'));
  json('1_Pooling/config.json', {
    pooling_mode_cls_token: settings.pooling === 'cls',
    pooling_mode_mean_tokens: settings.pooling === 'mean',
  });
  return folder;
};
