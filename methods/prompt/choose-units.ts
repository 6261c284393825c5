/** What prompt methods that rank pieces of the context share: cutting it into pieces, and feeding the best of them. */
import { WinnowError } from '../../core/errors.js';
import type { PromptRequest, PromptResult, Services } from '../contract.js';
import { sentenceSegments } from './segments.js';

/** A stretch of the context that is fed whole or not at all. */
export interface Unit {
  readonly text: string;
  readonly start: number;
}

/** The documents; a context without documents is cut into segments of whole sentences of up to `segmentTokens`. */
export const unitsOf = (documents: PromptRequest['documents'], segmentTokens: number, use: Services): Unit[] => {
  const [only] = documents;
  if (documents.length !== 1 || only === undefined) return [...documents];
  return sentenceSegments(only.text, segmentTokens, use.countTokens).map(({ start, end }) => ({
    text: only.text.slice(start, end),
    start: only.start + start,
  }));
};

/**
 * The best units that fit the budget, in the order of the text; one that no longer fits is passed over and the next one tried. Ties go to
 * the earlier unit. Throws: ERR_UNSUPPORTED under `method` when none fits.
 */
export const chooseUnits = (
  method: string,
  units: readonly Unit[],
  scores: ArrayLike<number>,
  tokenBudget: number,
  use: Services,
): PromptResult => {
  const ranked = units
    .map((unit, i) => ({ ...unit, score: scores[i]!, tokens: use.countTokens(unit.text) }))
    .sort((a, b) => b.score - a.score || a.start - b.start);
  const chosen: (typeof ranked)[number][] = [];
  let tokens = 0;
  for (const unit of ranked) {
    if (tokens + unit.tokens > tokenBudget) continue;
    chosen.push(unit);
    tokens += unit.tokens;
  }
  // Tokens may form or break where two units meet, so the joined text decides; the worst of the chosen gives way.
  while (chosen.length > 0 && use.countTokens(joined(chosen)) > tokenBudget) chosen.pop();
  if (chosen.length === 0) {
    const shortest = Math.min(...ranked.map((unit) => unit.tokens));
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${method} at ${tokenBudget} prompt tokens`,
      `at least ${shortest} tokens, the shortest piece`,
      tokenBudget,
      'Raise the budget.',
    );
  }
  return {
    parts: inOrder(chosen).map(({ text, start }) => ({
      role: 'document',
      text,
      stands: [{ start, end: start + text.length }],
    })),
    ranking: ranked.map(({ text, start, score }) => ({ start, end: start + text.length, score })),
  };
};

/** Throws: ERR_UNSUPPORTED for a setting that gives no question to rank by. */
export const needsQuestion = (method: string, got: unknown): never => {
  throw new WinnowError('ERR_UNSUPPORTED', method, 'a question to rank by', got, 'Use query-aware.');
};

const inOrder = <U extends Unit>(units: readonly U[]): U[] => [...units].sort((a, b) => a.start - b.start);

const joined = (units: readonly Unit[]): string =>
  inOrder(units)
    .map(({ text }) => text)
    .join('');
