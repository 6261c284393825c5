/** Cutting a text without documents into pieces that can be ranked. */
import type { TextSpan } from '../contract.js';

/**
 * Consecutive segments of whole sentences, each up to `maxTokens`; together they are the text. A sentence that is longer alone is cut
 * at spaces. Ends of sentences: . ! ? or the CJK full stops, with closing quotes, before white space; and line breaks.
 */
export const sentenceSegments = (
  text: string,
  maxTokens: number,
  countTokens: (text: string) => number,
): TextSpan[] => {
  const pieces = sentences(text).flatMap((span) => withinLimit(text, span, maxTokens, countTokens));
  const segments: TextSpan[] = [];
  for (const piece of pieces) {
    const last = segments.at(-1);
    if (last !== undefined && countTokens(text.slice(last.start, piece.end)) <= maxTokens) {
      segments[segments.length - 1] = { start: last.start, end: piece.end };
    } else {
      segments.push(piece);
    }
  }
  return segments;
};

/** Sentences with the white space behind them. */
export const sentences = (text: string): TextSpan[] =>
  spansBefore(text, /(?<=[.!?][\p{Pe}\p{Pf}"']*\s+|[。！？]|\n)(?=\S)/gu, 0, text.length);

const withinLimit = (
  text: string,
  span: TextSpan,
  maxTokens: number,
  countTokens: (text: string) => number,
): TextSpan[] => {
  if (countTokens(text.slice(span.start, span.end)) <= maxTokens) return [span];
  const words = spansBefore(text, /(?<=\s)(?=\S)/gu, span.start, span.end);
  const pieces: TextSpan[] = [];
  for (const word of words) {
    const last = pieces.at(-1);
    if (last !== undefined && countTokens(text.slice(last.start, word.end)) <= maxTokens) {
      pieces[pieces.length - 1] = { start: last.start, end: word.end };
    } else {
      pieces.push(word);
    }
  }
  return pieces;
};

/** Cuts [start, end) at every place where `border` matches (an empty match). */
const spansBefore = (text: string, border: RegExp, start: number, end: number): TextSpan[] => {
  const part = text.slice(start, end);
  const cuts = [...part.matchAll(border)].map((match) => start + match.index).filter((cut) => cut > start);
  return [...cuts, end]
    .map((cut, i) => ({ start: i === 0 ? start : cuts[i - 1]!, end: cut }))
    .filter((span) => span.end > span.start);
};
