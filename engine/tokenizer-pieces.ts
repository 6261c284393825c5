/** One piece of text to token ids by BPE, with the characters of the piece that each token covers. Pieces repeat, so results are kept. */
import type { BpeModel } from './tokenizer-library.js';
import type { TokenizerRules } from './tokenizer-rules.js';

/** Parallel lists; start and end are UTF-16 offsets in the piece. Neighbours overlap where a character's bytes lie in two tokens. */
export interface PieceTokens {
  readonly ids: readonly number[];
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** Words repeat; this many distinct ones cost a few megabytes. */
const keptPieces = 65_536;
/** Longer pieces are rare and seldom repeat. */
const longestKeptPiece = 64;

export function pieceEncoder(model: BpeModel, rules: TokenizerRules): (piece: string) => PieceTokens {
  const kept = new Map<string, PieceTokens>();
  const encode = rules.kind === 'byte-level' ? byteLevelPiece(model) : characterPiece(model);
  return (piece) => {
    const before = kept.get(piece);
    if (before !== undefined) return before;
    const tokens = encode(piece);
    if (piece.length <= longestKeptPiece) {
      if (kept.size >= keptPieces) kept.clear();
      kept.set(piece, tokens);
    }
    return tokens;
  };
}

/** Symbols that BPE leaves and that no vocabulary entry covers become byte tokens, the unknown token, or nothing. */
function idsOf(model: BpeModel, symbol: string): readonly number[] {
  const id = model.tokens_to_ids.get(symbol);
  if (id !== undefined) return [id];
  if (model.byte_fallback) {
    const bytes = [...utf8.encode(symbol)].map((byte) =>
      model.tokens_to_ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
    );
    if (bytes.every((byte) => byte !== undefined)) return bytes;
  }
  const unknown =
    model.unk_token === null || model.unk_token === undefined ? undefined : model.tokens_to_ids.get(model.unk_token);
  return unknown === undefined ? [] : [unknown];
}

const symbolsOf = (model: BpeModel, text: string): readonly string[] =>
  model.ignore_merges && model.tokens_to_ids.has(text) ? [text] : model.bpe(text);

function characterPiece(model: BpeModel): (piece: string) => PieceTokens {
  return (piece) => {
    const tokens = { ids: [] as number[], starts: [] as number[], ends: [] as number[] };
    let at = 0;
    for (const symbol of symbolsOf(model, piece)) {
      for (const id of idsOf(model, symbol)) push(tokens, id, at, at + symbol.length);
      at += symbol.length;
    }
    return tokens;
  };
}

function byteLevelPiece(model: BpeModel): (piece: string) => PieceTokens {
  return (piece) => {
    const bytes = utf8.encode(piece);
    const tokens = { ids: [] as number[], starts: [] as number[], ends: [] as number[] };
    const isAscii = bytes.length === piece.length;
    const owners = isAscii ? undefined : byteOwners(piece, bytes.length);
    let at = 0;
    for (const symbol of symbolsOf(model, toByteCharacters(bytes))) {
      const last = at + symbol.length - 1;
      const start = owners === undefined ? at : owners.starts[at]!;
      const end = owners === undefined ? last + 1 : owners.ends[last]!;
      for (const id of idsOf(model, symbol)) push(tokens, id, start, end);
      at += symbol.length;
    }
    return tokens;
  };
}

function push(
  tokens: { ids: number[]; starts: number[]; ends: number[] },
  id: number,
  start: number,
  end: number,
): void {
  tokens.ids.push(id);
  tokens.starts.push(start);
  tokens.ends.push(end);
}

const utf8 = new TextEncoder();

/** For each UTF-8 byte, the UTF-16 range of the character that it belongs to. A lone surrogate is encoded as three bytes. */
function byteOwners(text: string, byteLength: number): { readonly starts: Int32Array; readonly ends: Int32Array } {
  const starts = new Int32Array(byteLength);
  const ends = new Int32Array(byteLength);
  let byte = 0;
  let at = 0;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    const width = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4;
    starts.fill(at, byte, byte + width);
    ends.fill(at + character.length, byte, byte + width);
    byte += width;
    at += character.length;
  }
  return { starts, ends };
}

/** The printable stand-ins of GPT-2: bytes that are visible in Latin-1 stand for themselves, the others follow from U+0100. */
const byteCharacters: readonly string[] = (() => {
  const isVisible = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isVisible(byte) ? byte : next++));
})();

function toByteCharacters(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byteCharacters[byte];
  return text;
}
