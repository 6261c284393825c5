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
      const find = specials === 'parse' ? all : plain;
      let from = 0;
      for (let found = find(text, 0); found !== undefined; found = find(text, from)) {
        const { start, end } = widen(text, found.index, found.text, byText, from);
        if (start > from) appendPlain(sections, text.slice(from, start), offset + from);
        sections.push({ text: found.text, id: byText.get(found.text)!.id, start: offset + start, end: offset + end });
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

type Find = (text: string, from: number) => { readonly index: number; readonly text: string } | undefined;

/**
 * The first token at or after `from`; of two that begin at one place the longer wins. Vocabularies hold thousands of such tokens, so
 * only places that begin one are looked at, and there one look-up for each length.
 */
function matcher(added: readonly AddedTokenJson[]): Find {
  if (added.length === 0) return () => undefined;
  const texts = new Set(added.map(({ content }) => content));
  const lengthsByFirst = new Map<string, number[]>();
  for (const text of texts) {
    const lengths = lengthsByFirst.get(text[0]!) ?? [];
    if (!lengths.includes(text.length)) lengths.push(text.length);
    lengthsByFirst.set(text[0]!, lengths);
  }
  for (const lengths of lengthsByFirst.values()) lengths.sort((a, b) => b - a);
  const firsts = [...lengthsByFirst.keys()].map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const begins = new RegExp(`[${firsts.join('')}]`, 'g');
  return (text, from) => {
    begins.lastIndex = from;
    for (let match = begins.exec(text); match !== null; match = begins.exec(text)) {
      const { index } = match;
      for (const length of lengthsByFirst.get(match[0])!) {
        const candidate = text.slice(index, index + length);
        if (candidate.length === length && texts.has(candidate)) return { index, text: candidate };
      }
    }
    return undefined;
  };
}
