/** Cuts text at tokens that stand for themselves (special and user-defined ones) before anything else is done to it. */
import type { AddedTokenJson } from './tokenizer-source.js';

export interface TextPiece {
  readonly text: string;
  /** `none`: special tokens in this piece are plain text. Added tokens that are not special always count. */
  readonly specials: 'parse' | 'none';
}

/** Plain text, or one added token (`id`). Offsets are in the joined text. */
export interface Section {
  readonly text: string;
  readonly id?: number;
  readonly start: number;
  readonly end: number;
}

export function sectionSplitter(added: readonly AddedTokenJson[]): (pieces: readonly TextPiece[]) => Section[] {
  const byText = new Map(added.map((token) => [token.content, token]));
  const all = matcher(added);
  const plain = matcher(added.filter(({ special }) => !special));
  return (pieces) => {
    const sections: Section[] = [];
    let offset = 0;
    for (const { text, specials } of pieces) {
      const pattern = specials === 'parse' ? all : plain;
      let from = 0;
      for (const match of pattern === undefined ? [] : text.matchAll(pattern)) {
        const { start, end } = widen(text, match.index, match[0], byText, from);
        if (start > from) appendPlain(sections, text.slice(from, start), offset + from);
        sections.push({ text: match[0], id: byText.get(match[0])!.id, start: offset + start, end: offset + end });
        from = end;
      }
      if (from < text.length) appendPlain(sections, text.slice(from), offset + from);
      offset += text.length;
    }
    return sections;
  };
}

/** Plain text of neighbouring pieces is one section, so that BPE sees it as one text. */
function appendPlain(sections: Section[], text: string, start: number): void {
  const last = sections.at(-1);
  if (last !== undefined && last.id === undefined) {
    sections[sections.length - 1] = { text: last.text + text, start: last.start, end: start + text.length };
  } else {
    sections.push({ text, start, end: start + text.length });
  }
}

/** A token with lstrip or rstrip takes the white space beside it. */
function widen(
  text: string,
  index: number,
  found: string,
  byText: ReadonlyMap<string, AddedTokenJson>,
  from: number,
): { start: number; end: number } {
  const token = byText.get(found)!;
  let start = index;
  let end = index + found.length;
  if (token.lstrip) while (start > from && isSpace(text[start - 1]!)) start--;
  if (token.rstrip) while (end < text.length && isSpace(text[end]!)) end++;
  return { start, end };
}

const isSpace = (character: string): boolean => /\s/u.test(character);

/** Longer texts first: of two tokens that begin at one place the longer wins. */
function matcher(added: readonly AddedTokenJson[]): RegExp | undefined {
  if (added.length === 0) return undefined;
  const texts = added.map(({ content }) => content).sort((a, b) => b.length - a.length);
  return new RegExp(texts.map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|'), 'gu');
}
