/** Texts as an encoder reads them: special tokens around them, cut to the length that it takes. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../../core/errors.js';
import type { TextSpan } from '../../methods/contract.js';
import { readJson } from '../checkpoint.js';
import { library } from '../tokenizer-library.js';

/** Token ids with their kinds; [start, end) is the text itself (of a pair: the second text). */
export interface EncoderInput {
  readonly ids: readonly number[];
  readonly types: readonly number[];
  readonly start: number;
  readonly end: number;
}

export interface EncoderText {
  single(text: string): EncoderInput;
  pair(first: string, second: string): EncoderInput;
  /** Words are runs without white space; their tokens, in a row, are those of the whole text. */
  words(text: string): { readonly span: TextSpan; readonly ids: readonly number[] }[];
  /** Special tokens around ids of `words`, which fit: at most `room`. */
  frame(ids: readonly number[]): EncoderInput;
  readonly room: number;
}

interface LibraryEncoding {
  readonly ids: readonly number[];
  readonly token_type_ids?: readonly number[];
}
/** The part of the library's tokenizer that encoders use: it normalises, cuts and adds special tokens by tokenizer.json. */
interface WholeTokenizer {
  encode(
    text: string,
    options: {
      readonly text_pair?: string;
      readonly add_special_tokens: boolean;
      readonly return_token_type_ids?: boolean;
    },
  ): LibraryEncoding;
}

/** What stands before, between and behind the texts. */
interface Frame {
  readonly pieces: readonly { readonly ids: readonly number[]; readonly types: readonly number[] }[];
  /** Kind of each text's tokens. */
  readonly kinds: readonly number[];
}

/** `maxTokens` counts special tokens. Throws: ERR_MISSING without tokenizer.json, ERR_MODEL_FORMAT. */
export const openEncoderText = (folder: string, maxTokens: number, lowerCase: boolean): EncoderText => {
  const where = join(folder, 'tokenizer.json');
  const json = readJson(where);
  const settingsPath = join(folder, 'tokenizer_config.json');
  const settings = existsSync(settingsPath) ? readJson(settingsPath) : {};
  let tokenizer: WholeTokenizer;
  let frames: { readonly single: Frame; readonly pair: Frame };
  try {
    tokenizer = new library.Tokenizer(json as object, settings as object) as unknown as WholeTokenizer;
    frames = { single: frameOf(tokenizer, ['a']), pair: frameOf(tokenizer, ['a', 'b']) };
  } catch (error) {
    throw new WinnowError(
      'ERR_MODEL_FORMAT',
      where,
      'a tokenizer that the tokenizers library can build',
      (error as Error).message,
    );
  }
  const body = (text: string): readonly number[] =>
    tokenizer.encode(lowerCase ? text.toLowerCase() : text, { add_special_tokens: false }).ids;
  const room = (frame: Frame): number =>
    Math.max(0, maxTokens - frame.pieces.reduce((n, { ids }) => n + ids.length, 0));
  return {
    single: (text) => framed(frames.single, [body(text).slice(0, room(frames.single))]),
    pair(first, second) {
      const [a, b] = [body(first), body(second)];
      const [keepA, keepB] = longestFirst(a.length, b.length, room(frames.pair));
      return framed(frames.pair, [a.slice(0, keepA), b.slice(0, keepB)]);
    },
    words: (text) =>
      [...text.matchAll(/\S+/gu)].map(({ 0: word, index }) => ({
        span: { start: index, end: index + word.length },
        ids: body(word),
      })),
    frame: (ids) => framed(frames.single, [ids]),
    room: room(frames.single),
  };
};

/** Tokens kept of two texts: the longer one gives way first, as the tokenizers library's `longest_first` has it. */
export const longestFirst = (first: number, second: number, room: number): [number, number] => {
  if (first + second <= room) return [first, second];
  const shorter = Math.min(first, second);
  // An odd token goes to the longer text, of equal ones to the second.
  const half = Math.floor(room / 2);
  const keptShorter = Math.min(shorter, half);
  return first > second ? [room - keptShorter, keptShorter] : [keptShorter, room - keptShorter];
};

const framed = ({ pieces, kinds }: Frame, texts: readonly (readonly number[])[]): EncoderInput => {
  const ids: number[] = [];
  const types: number[] = [];
  let [start, end] = [0, 0];
  pieces.forEach((piece, at) => {
    ids.push(...piece.ids);
    types.push(...piece.types);
    const text = texts[at];
    if (text === undefined) return;
    start = ids.length;
    for (const id of text) {
      ids.push(id);
      types.push(kinds[at]!);
    }
    end = ids.length;
  });
  return { ids, types, start, end };
};

/** Found by encoding one-letter texts with and without special tokens. */
const frameOf = (tokenizer: WholeTokenizer, texts: readonly string[]): Frame => {
  const [first, second] = texts;
  const whole = tokenizer.encode(first!, {
    ...(second === undefined ? {} : { text_pair: second }),
    add_special_tokens: true,
    return_token_type_ids: true,
  });
  const types = whole.token_type_ids ?? whole.ids.map(() => 0);
  const pieces: { ids: number[]; types: number[] }[] = [];
  const kinds: number[] = [];
  let at = 0;
  for (const text of texts) {
    const body = tokenizer.encode(text, { add_special_tokens: false }).ids;
    let start = at;
    while (start <= whole.ids.length - body.length && !body.every((id, i) => whole.ids[start + i] === id)) start++;
    if (body.length === 0 || start > whole.ids.length - body.length)
      throw new Error('its special tokens cannot be told from the text');
    pieces.push({ ids: whole.ids.slice(at, start), types: types.slice(at, start) });
    kinds.push(types[start]!);
    at = start + body.length;
  }
  pieces.push({ ids: whole.ids.slice(at), types: types.slice(at) });
  return { pieces, kinds };
};
