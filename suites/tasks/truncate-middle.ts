import { WinnowError } from '../../core/errors.js';
import type { TextSpan } from '../../methods/contract.js';
import type { Sample, TokenMeter } from '../contract.js';

export interface TruncateOrder {
  /** Names the task in the error. */
  readonly task: string;
  /** Longest prompt in tokens, answer room included. */
  readonly length: number;
  readonly maxNewTokens: number;
  readonly meter: TokenMeter;
}

/** A text that fits, and what is missing from it. */
export interface MiddleCut {
  readonly text: string;
  /** What was taken out, in UTF-16 offsets of the whole text; undefined when all of it fits. */
  readonly removed?: TextSpan;
  /** Tokens of the prompt that were taken out; goes into `meta.truncatedTokens`. */
  readonly truncatedTokens: number;
}

/**
 * Takes the middle out of one long text so that the prompt fits (the rule of LongBench and InfiniteBench): prompt + maxNewTokens <= length,
 * with as many tokens kept at the start as at the end, one more at the end when they are odd. `frame` puts the text into the prompt.
 *
 * Upstream cuts the ids of the whole prompt and decodes them again; here only the text is cut, between characters, so that instruction
 * and question are never hurt. Throws ERR_SUITE when the prompt does not even fit without the text.
 */
export const truncateMiddle = (
  { task, length, maxNewTokens, meter }: TruncateOrder,
  text: string,
  frame: (text: string) => Pick<Sample, 'context' | 'question' | 'answerPrefix'>,
): MiddleCut => {
  const room = length - maxNewTokens;
  const tokensOf = (kept: string): number => meter.countPrompt(frame(kept));
  const whole = tokensOf(text);
  if (whole <= room) return { text, truncatedTokens: 0 };
  const base = tokensOf('');
  if (base >= room) {
    const expected = `a length of at least ${base + maxNewTokens + 1} tokens (the empty prompt and ${maxNewTokens} for the answer)`;
    throw new WinnowError('ERR_SUITE', task, expected, length, 'Use a longer length or a smaller maxNewTokens.');
  }
  const headEnd = longestEnd(text, Math.floor((room - base) / 2), (end) => meter.count(text.slice(0, end)));
  // The seam may join or split a token, so the tail is fitted with the head in its place.
  const tailLength = longestEnd(text.slice(headEnd), room, (size) =>
    tokensOf(text.slice(0, headEnd) + tailOf(text, size)),
  );
  const tail = tailOf(text, tailLength);
  const kept = text.slice(0, headEnd) + tail;
  return {
    text: kept,
    removed: { start: headEnd, end: text.length - tail.length },
    truncatedTokens: whole - tokensOf(kept),
  };
};

/** Spans of the whole text as they lie in the cut one; a span that lost any part of itself is not there any more. */
export const spansAfterCut = (spans: readonly TextSpan[], { removed }: Pick<MiddleCut, 'removed'>): TextSpan[] =>
  spans.flatMap(({ start, end }) => {
    if (removed === undefined || end <= removed.start) return [{ start, end }];
    const shift = removed.end - removed.start;
    return start >= removed.end ? [{ start: start - shift, end: end - shift }] : [];
  });

const tailOf = (text: string, size: number): string => {
  const start = text.length - size;
  return text.slice(isLowSurrogate(text, start) ? start + 1 : start);
};

const isLowSurrogate = (text: string, at: number): boolean => (text.charCodeAt(at) & 0xfc00) === 0xdc00;

/**
 * The largest size whose count is at most `limit`, as far as counts grow with size: tokens are nearly proportional to characters, so a
 * few counts bracket it and halving closes the bracket.
 */
export const longestEnd = (text: string, limit: number, countOf: (size: number) => number): number => {
  let [fits, fitsTokens] = [0, countOf(0)];
  let [over, overTokens] = [text.length + 1, Number.POSITIVE_INFINITY];
  for (let step = 0; over - fits > 1; step++) {
    const slope =
      overTokens === Number.POSITIVE_INFINITY
        ? fitsTokens > 0 && fits > 0
          ? fits / fitsTokens
          : charactersPerToken
        : (over - fits) / Math.max(1, overTokens - fitsTokens);
    const guess = Math.round(fits + (limit - fitsTokens + 0.5) * slope);
    // Halving now and then: a guess that creeps from one side would take a count for every character.
    const size = step % 3 === 2 && over <= text.length ? (fits + over) >> 1 : guess;
    const next = Math.min(over - 1, Math.max(fits + 1, size));
    const tokens = countOf(next);
    if (tokens <= limit) [fits, fitsTokens] = [next, tokens];
    else [over, overTokens] = [next, tokens];
  }
  return isLowSurrogate(text, fits) ? fits - 1 : fits;
};

/** Of English text with the tokenizers we know: only the first guess. */
const charactersPerToken = 4;
