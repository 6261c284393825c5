/**
 * Budgets in slots. A budget counts tokens of the context; what came after the context (the question under the query-aware
 * protocol, generated tokens) stays and is not counted, unless the method covers `total`.
 */
import { WinnowError } from '../core/errors.js';
import type { Budget, CacheView, Ragged, RowFacts, Scope, SequenceFacts, SlotsView, Tensor } from './contract.js';

/** What is kept whatever its score; both count inside the budget. */
export interface Protection {
  readonly sinks: number;
  /** The last tokens of the context. */
  readonly recents: number;
  /** The last tokens of the prompt, which under the query-aware protocol are the question's. */
  readonly promptRecents?: number;
}

export const keepsEverything = (budget: Budget): boolean => budget.tokens >= budget.contextTokens;

/** Slots behind the context at a prefill boundary: 0 for `context`, the question's length for `prompt`. Equal for all rows of a call. */
export const slotsAfterContext = (rows: RowFacts): number => {
  const extra = rows.sequences.map((sequence) => sequence.length - sequence.contextLength);
  const first = extra[0] ?? 0;
  if (extra.some((count) => count !== first)) {
    throw new WinnowError(
      'ERR_CONTRACT',
      'slotsAfterContext',
      'rows of one prompt',
      `questions of ${extra.join(', ')} tokens`,
    );
  }
  return first;
};

/** Slots to keep per row at a prefill boundary: the budget and all that follows the context. */
export const boundaryCounts = (rows: RowFacts): number[] => {
  const extra = slotsAfterContext(rows);
  return rows.budgets.map((budget) => budget.tokens + extra);
};

/** First and last slots that `topK` must take at a boundary with `extra` slots behind the context. */
export const boundaryProtection = (
  { sinks, recents, promptRecents = 0 }: Protection,
  extra: number,
): { sinks: number; recents: number } => ({
  sinks,
  recents: Math.max(recents + extra, promptRecents),
});

/** The best-scored slots of each list within the rows' budgets, ascending. Scores f32 [1 or rows, S, slots]. */
export const keepTop = (view: CacheView, scores: Tensor, protection: Protection, scope: Scope): Ragged =>
  view.ops.topK(scores, boundaryCounts(view.rows), {
    scope,
    ...boundaryProtection(protection, slotsAfterContext(view.rows)),
  });

/**
 * Slots that a selector may read per row in a step: as many as an evicting method with this budget would still hold, that is the
 * budget and every slot after the context (question, generated tokens, the step's own).
 */
export const stepCounts = (slots: SlotsView, budgets: readonly Budget[]): number[] =>
  budgets.map((budget, row) => budget.tokens + Math.max(0, longestOfRow(slots, row) - budget.contextTokens));

const longestOfRow = (slots: SlotsView, row: number): number =>
  Math.max(...slots.lens.subarray(row * slots.numKvHeads, (row + 1) * slots.numKvHeads));

/** Refuses a budget that cannot hold what the method always keeps. */
export const requireRoom = (id: string, budget: Budget, protection: Protection, sequence: SequenceFacts): void => {
  if (keepsEverything(budget)) return;
  const extra = sequence.length - sequence.contextLength;
  const { sinks, recents } = boundaryProtection(protection, extra);
  const needed = Math.max(1, sinks + recents - extra);
  if (budget.tokens >= needed) return;
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    `${id} at a budget of ${budget.tokens} of ${budget.contextTokens} tokens`,
    `at least ${needed} tokens, which it always keeps`,
    budget.tokens,
    'Raise the budget or lower the sinks and recents.',
  );
};
