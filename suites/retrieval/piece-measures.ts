/** Measures of how a method cuts a text into pieces, and of what it feeds of them. Spans are offsets in the joined documents. */
import { mean, median } from '../../core/statistics.js';
import type { TextSpan } from '../../methods/contract.js';

export interface PieceMeasures {
  readonly pieces: number;
  readonly shortestTokens: number;
  readonly medianTokens: number;
  readonly meanTokens: number;
  readonly longestTokens: number;
  /** Standard deviation of the tokens of a piece over their mean. */
  readonly tokensSpread: number;
  /** Share of the text's characters that lie in some piece, and how often on average those lie in one: 1 without overlap. */
  readonly coverage: number;
  readonly overlap: number;
  /** Share of the inner cuts that stand between two sentences. */
  readonly cutsAtSentences: number;
}

const sentences = new Intl.Segmenter('en', { granularity: 'sentence' });

/** `pieces` in any order; `text` is what they were cut from. */
export const pieceMeasures = (
  text: string,
  pieces: readonly TextSpan[],
  countTokens: (text: string) => number,
): PieceMeasures => {
  const inOrder = [...pieces].sort((a, b) => a.start - b.start || a.end - b.end);
  const tokens = inOrder.map(({ start, end }) => countTokens(text.slice(start, end)));
  const average = mean(tokens);
  const covered = unionLength(inOrder);
  const total = inOrder.reduce((sum, { start, end }) => sum + end - start, 0);
  return {
    pieces: pieces.length,
    shortestTokens: Math.min(...tokens),
    medianTokens: median(tokens),
    meanTokens: average,
    longestTokens: Math.max(...tokens),
    tokensSpread: Math.sqrt(mean(tokens.map((one) => (one - average) ** 2))) / average,
    coverage: covered / text.length,
    overlap: total / covered,
    cutsAtSentences: shareOfCutsAtSentences(text, inOrder),
  };
};

/** Share of the spans that no single piece holds whole; undefined without spans. */
export const cutShare = (spans: readonly TextSpan[], pieces: readonly TextSpan[]): number | undefined =>
  spans.length === 0 ? undefined : mean(spans.map((span) => (isWhole(span, pieces) ? 0 : 1)));

const isWhole = (span: TextSpan, pieces: readonly TextSpan[]): boolean =>
  pieces.some(({ start, end }) => start <= span.start && span.end <= end);

/** A cut is the start of a piece behind the first one. White space may stand on either side of it. */
const shareOfCutsAtSentences = (text: string, inOrder: readonly TextSpan[]): number => {
  const cuts = inOrder.slice(1).map(({ start }) => start);
  if (cuts.length === 0) return 1;
  const starts = new Set<number>();
  for (const { index, segment } of sentences.segment(text)) {
    // Line ends close a heading or a list item as a full stop closes a sentence.
    for (const { index: line } of segment.matchAll(/(?<=^|\n)\s*(?=\S)/g)) {
      const first = index + line + (/^\s*/.exec(segment.slice(line))?.[0].length ?? 0);
      starts.add(first);
    }
  }
  const isStart = (cut: number): boolean => {
    const blank = /^\s*/.exec(text.slice(cut, cut + 100))![0].length;
    return starts.has(cut + blank);
  };
  return mean(cuts.map((cut) => (isStart(cut) ? 1 : 0)));
};

/** Characters of `spans` (ascending by start) counted once. */
export const unionLength = (spans: readonly TextSpan[]): number => {
  let [total, reached] = [0, 0];
  for (const { start, end } of spans) {
    total += Math.max(0, end - Math.max(start, reached));
    reached = Math.max(reached, end);
  }
  return total;
};

/** Characters that both lists hold; each list is taken as a set. */
export const sharedLength = (some: readonly TextSpan[], others: readonly TextSpan[]): number => {
  const shared: TextSpan[] = [];
  for (const a of some) {
    for (const b of others) {
      const [start, end] = [Math.max(a.start, b.start), Math.min(a.end, b.end)];
      if (start < end) shared.push({ start, end });
    }
  }
  return unionLength(shared.sort((a, b) => a.start - b.start));
};
