import type { TextModel } from './core/evaluate.js';
import { prepareNextTurn, preparePrompt, templateOf } from './prompt.js';
import { loadTokenizer, type Tokenizer } from './tokenizer.js';

/** Tokenizer and chat template of a model, as the engine uses them. */
export interface OpenText extends TextModel {
  readonly tokenizer: Tokenizer;
  /** Text as it is: special tokens written in it count as such. */
  encodeRaw(text: string): Int32Array;
}

/** Throws: ERR_MISSING, ERR_MODEL_FORMAT, ERR_UNSUPPORTED. */
export const openTextModel = (path: string): OpenText => {
  const tokenizer = loadTokenizer(path);
  const template = templateOf(tokenizer);
  const stops = new Set(tokenizer.stopIds);
  return {
    tokenizer,
    prepare: (parts) => preparePrompt(parts, tokenizer, template),
    prepareNextTurn: (parts) => prepareNextTurn(parts, tokenizer, template),
    decode: (ids) => tokenizer.decode(ids),
    isStop: (token) => stops.has(token),
    encode: (plain) => tokenizer.encode(plain, { specials: 'none' }),
    encodeContinuation: (text, chatTemplate) =>
      tokenizer.encode(text, { specials: chatTemplate ? 'none' : 'parse', continues: true }),
    countTokens: (plain) => tokenizer.encode(plain, { specials: 'none' }).length,
    encodeRaw: (raw) => tokenizer.encode(raw, { specials: 'parse' }),
  };
};
