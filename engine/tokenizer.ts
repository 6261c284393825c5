/** Text to token ids and back, exactly as the model's own tokenizer does, with the characters behind each token. */
import { statSync } from 'node:fs';
import { WinnowError } from '../core/errors.js';
import { openBoundedFile } from './checkpoint-file.js';
import { readGguf } from './gguf.js';
import { isRandomModel } from './random-model.js';
import { randomTokenizer } from './random-model-tokenizer.js';
import { characterDecoder } from './tokenizer-decode.js';
import { tokenizerFromGguf } from './tokenizer-gguf.js';
import { tokenizerFromDirectory } from './tokenizer-huggingface.js';
import { type BpeModel, type LibraryTokenizer, library } from './tokenizer-library.js';
import { composed, type NormalisedText } from './tokenizer-normalise.js';
import { repeatsARepeat } from './tokenizer-patterns.js';
import { pieceEncoder } from './tokenizer-pieces.js';
import { readRules, type SpacePrefix, spaceMark, type TokenizerRules } from './tokenizer-rules.js';
import { sectionSplitter, type TextPiece } from './tokenizer-sections.js';
import type { TokenizerSource } from './tokenizer-source.js';

export interface EncodedText {
  readonly ids: Int32Array;
  /** UTF-16 range [start, end) of the text behind each token; ascending. A character cut between tokens belongs to each of them. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

export interface EncodeOptions {
  /** `parse`: special tokens written in the text count as such; `none`: they are plain text. */
  readonly specials: 'parse' | 'none';
  /** The text goes on after other text: no space is put before it (SentencePiece only). */
  readonly continues?: boolean;
}

export interface Tokenizer {
  readonly name: string;
  /** One more than the largest id. */
  readonly vocabSize: number;
  readonly stopIds: readonly number[];
  readonly specials: TokenizerSource['specials'];
  readonly chatTemplate: string | undefined;
  /** The special token that a text without a template begins with; `encode` does not add it. */
  readonly startText: string | undefined;
  /** Adds no special tokens of its own. */
  encode(text: string, options: EncodeOptions): Int32Array;
  encodeWithOffsets(text: string, options: EncodeOptions): EncodedText;
  /** How many ids `encode` gives, in a fraction of its time: for texts that are only measured. */
  countTokens(text: string, options: EncodeOptions): number;
  /** Pieces tokenised as one text, each with its own rule for special tokens; offsets are in the joined text. */
  encodePieces(pieces: readonly TextPiece[], continues?: boolean): EncodedText;
  /** Special tokens appear as their text; bytes that are no UTF-8 become U+FFFD. */
  decode(ids: Iterable<number>): string;
}

/** The tokenizer of a GGUF file, a Hugging Face directory or a random model. Throws: ERR_MISSING, ERR_MODEL_FORMAT, ERR_UNSUPPORTED. */
export function loadTokenizer(path: string): Tokenizer {
  if (isRandomModel(path)) return createTokenizer(randomTokenizer(path));
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined)
    throw new WinnowError('ERR_MISSING', path, 'a GGUF file or a model directory', 'nothing there', 'Check the path.');
  if (stat.isDirectory()) return createTokenizer(tokenizerFromDirectory(path));
  const file = openBoundedFile(path);
  try {
    return createTokenizer(tokenizerFromGguf(readGguf(file)));
  } finally {
    file.close();
  }
}

export function createTokenizer(source: TokenizerSource): Tokenizer {
  const rules = readRules(source.where, source.json);
  const built = buildLibrary(source);
  const { model } = built;
  const encodePiece = pieceEncoder(model, rules);
  const sections = sectionSplitter(source.json.added_tokens);
  const cut =
    rules.kind === 'byte-level'
      ? cutByPatterns(source.where, rules.splits)
      : cutAtSpaces(
          model,
          source.json.added_tokens.map(({ content }) => content),
        );
  const normalise = normaliserOf(rules);
  const prefix: SpacePrefix = rules.kind === 'sentencepiece' ? rules.prefix : { scheme: 'never', unlessThere: true };

  const encodePieces = (pieces: readonly TextPiece[], continues = false): EncodedText => {
    const found = { ids: [] as number[], starts: [] as number[], ends: [] as number[] };
    let isFirst = true;
    for (const section of sections(pieces)) {
      if (section.id !== undefined) {
        found.ids.push(section.id);
        found.starts.push(section.start);
        found.ends.push(section.end);
      } else {
        const { text, starts, ends } = normalise(section.text);
        const added = hasPrefix(prefix, text, isFirst, continues) ? spaceMark : '';
        const startOf = (at: number): number => section.start + (starts?.[at] ?? at);
        const endOf = (at: number): number => section.start + (at > 0 ? (ends?.[at - 1] ?? at) : 0);
        let at = -added.length;
        for (const piece of cut(added + text)) {
          const tokens = encodePiece(piece);
          for (let index = 0; index < tokens.ids.length; index++) {
            found.ids.push(tokens.ids[index]!);
            found.starts.push(startOf(Math.max(0, at + tokens.starts[index]!)));
            found.ends.push(endOf(at + tokens.ends[index]!));
          }
          at += piece.length;
        }
      }
      isFirst = false;
    }
    return {
      ids: Int32Array.from(found.ids),
      starts: Int32Array.from(found.starts),
      ends: Int32Array.from(found.ends),
    };
  };

  const countTokens: Tokenizer['countTokens'] = (text, { specials, continues = false }) => {
    let tokens = 0;
    let isFirst = true;
    for (const section of sections([{ text, specials }])) {
      if (section.id !== undefined) tokens += 1;
      else {
        const normalised = normalise(section.text).text;
        const added = hasPrefix(prefix, normalised, isFirst, continues) ? spaceMark : '';
        for (const piece of cut(added + normalised)) tokens += encodePiece(piece).ids.length;
      }
      isFirst = false;
    }
    return tokens;
  };

  const decode = rules.kind === 'sentencepiece' ? characterDecoder(model, source.json) : byteLevelDecoder(built);
  const encodeWithOffsets: Tokenizer['encodeWithOffsets'] = (text, { specials, continues = false }) =>
    encodePieces([{ text, specials }], continues);
  return {
    name: source.name,
    vocabSize: model.vocab.length,
    stopIds: source.stopIds,
    specials: source.specials,
    chatTemplate: source.chatTemplate,
    startText: source.startText,
    encode: (text, options) => encodeWithOffsets(text, options).ids,
    encodeWithOffsets,
    countTokens,
    encodePieces,
    decode: (ids) => decode(Array.from(ids)),
  };
}

/** Replaces one character by one, or composes; offsets follow. */
function normaliserOf(rules: TokenizerRules): (text: string) => NormalisedText {
  if (rules.kind === 'byte-level' && rules.composes) return composed;
  const unchanged = { starts: undefined, ends: undefined };
  if (rules.kind === 'byte-level') return (text) => ({ text, ...unchanged });
  return (text) => ({ text: text.replaceAll(' ', spaceMark), ...unchanged });
}

function buildLibrary({ where, json, specials }: TokenizerSource): LibraryTokenizer {
  try {
    // Cutting is ours (it keeps offsets), so the library gets no normaliser and no pre-tokenizer: it supplies BPE and decoding.
    return new library.Tokenizer(
      { ...json, normalizer: null, pre_tokenizer: null, post_processor: null },
      { eos_token: specials.eos },
    );
  } catch (error) {
    throw new WinnowError(
      'ERR_MODEL_FORMAT',
      where,
      'a tokenizer that the tokenizers library can build',
      (error as Error).message,
    );
  }
}

const byteLevelDecoder =
  (built: LibraryTokenizer) =>
  (ids: readonly number[]): string =>
    ids.length === 0 ? '' : built.decode(ids, { skip_special_tokens: false, clean_up_tokenization_spaces: false });

/** `first` counts only the start of a text; `always` every stretch of plain text, which begins anew after a special token. */
function hasPrefix(prefix: SpacePrefix, marked: string, isFirst: boolean, continues: boolean): boolean {
  if (prefix.scheme === 'never' || (isFirst && continues)) return false;
  if (prefix.scheme === 'first' && !isFirst) return false;
  return !(prefix.unlessThere && marked.startsWith(spaceMark));
}

type Cutter = (text: string) => readonly string[];

function cutByPatterns(
  where: string,
  rules: readonly { readonly pattern: string; readonly invert: boolean }[],
): Cutter {
  const splits = rules.map(({ pattern, invert }) => {
    if (repeatsARepeat(pattern))
      throw new WinnowError(
        'ERR_UNSUPPORTED',
        `${where}, pre_tokenizer`,
        'a pattern without repeated repeats, which may take years',
        pattern,
      );
    try {
      return new library.SplitPreTokenizer({
        type: 'Split',
        pattern: { Regex: pattern },
        behavior: invert ? 'Removed' : 'Isolated',
        invert,
      });
    } catch (error) {
      throw new WinnowError(
        'ERR_UNSUPPORTED',
        `${where}, pre_tokenizer`,
        'a pattern that JavaScript can run',
        (error as Error).message,
      );
    }
  });
  return (text) => {
    let pieces: readonly string[] = [text];
    for (const split of splits) pieces = pieces.flatMap((piece) => split.pre_tokenize_text(piece));
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (length !== text.length)
      throw new WinnowError(
        'ERR_UNSUPPORTED',
        `${where}, pre_tokenizer`,
        `pieces that cover all ${text.length} characters`,
        length,
      );
    return pieces;
  };
}

/**
 * SentencePiece runs BPE over the whole text. No merge can cross a place between a character and a `▁` that no token holds side by
 * side, so cutting there changes nothing but lets words be looked up.
 */
function cutAtSpaces(model: BpeModel, addedTexts: readonly string[]): Cutter {
  const added = new Set(addedTexts);
  /** Code units that some token holds before a mark. */
  const crossing = new Set<string>();
  for (const token of model.vocab) {
    if (token === undefined || added.has(token)) continue;
    for (let at = token.indexOf(spaceMark, 1); at > 0; at = token.indexOf(spaceMark, at + 1)) {
      if (token[at - 1] !== spaceMark) crossing.add(token[at - 1]!);
    }
  }
  return (text) => {
    const pieces: string[] = [];
    let start = 0;
    for (let at = text.indexOf(spaceMark, 1); at > 0; at = text.indexOf(spaceMark, at + 1)) {
      const before = text[at - 1]!;
      if (before === spaceMark || crossing.has(before)) continue;
      pieces.push(text.slice(start, at));
      start = at;
    }
    if (start < text.length) pieces.push(text.slice(start));
    return pieces;
  };
}
