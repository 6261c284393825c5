import { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import { keepsEverything } from '../budget.js';
import { type AttentionPlan, type Budget, defineMethod } from '../contract.js';
import { declaration } from '../declaration.js';
import { readAll } from '../selector.js';

/**
 * Sink-window prefill (A-shape): while the prompt is read, each query sees the first tokens and a window of recent ones.
 *
 * Makes the prefill linear in the length; facts outside the window never reach later layers, though their keys stay in the cache.
 * Units: the budget is the share of causal query-key pairs that are computed. Cost: (sinks + window) pairs a query. State: none.
 * Throws: ERR_UNSUPPORTED when the budget leaves no window beside the sinks.
 */
export const sinkWindowPrefill = defineMethod({
  id: 'sink-window-prefill',
  name: 'Sink-window prefill',
  family: 'sparse-prefill',
  source: {
    title: 'MInference 1.0: Accelerating Pre-filling for Long-Context LLMs via Dynamic Sparse Attention',
    arxiv: '2407.02490',
    section: '3.2, A-shape',
  },
  deviations: [
    'the window follows from the budget; the paper searches its size per head',
    'the number of sinks is that of StreamingLLM',
    'the layers of the decode phase read the whole cache',
  ],
  training: 'none',
  parameters: z.strictObject({
    sinkTokens: z.int().min(0).default(4).describe('First tokens that every query sees (4 in StreamingLLM).'),
  }),
  budgetAxis: 'density',
  budgetControl: 'bounded',
  declare: () => declaration({ changesPrefill: true }),
  hooks: ({ params: { sinkTokens }, budget }) => ({
    admit: () => {
      if (keepsEverything(budget) || windowTokens(budget) > sinkTokens) return;
      throw new WinnowError(
        'ERR_UNSUPPORTED',
        `sink-window-prefill at a density of ${budget.fraction}`,
        `more than ${sinkTokens} tokens for each query`,
        windowTokens(budget),
        'Raise the budget or lower sinkTokens.',
      );
    },
    prefill: { plan: ({ rows }) => windowPlan(oneBudget(rows.budgets), sinkTokens) },
  }),
});

const windowPlan = (budget: Budget, sinkTokens: number): AttentionPlan =>
  keepsEverything(budget)
    ? readAll
    : {
        parts: [{ keys: { kind: 'window', sinkTokens, recentTokens: windowTokens(budget) - sinkTokens } }],
        mix: 'one-softmax',
      };

/** Most tokens a query may see so that the pairs stay within the budget's share of the causal pairs of the context. */
export const windowTokens = ({ fraction, contextTokens: n }: Pick<Budget, 'fraction' | 'contextTokens'>): number => {
  const allowed = (fraction * n * (n + 1)) / 2;
  // w queries see 1 … w keys, the other n - w see w: w n - w (w - 1) / 2 pairs; solved for w, then made safe against rounding.
  let width = Math.floor(n + 0.5 - Math.sqrt(Math.max(0, (n + 0.5) ** 2 - 2 * allowed)));
  while (windowPairs(width + 1, n) <= allowed && width < n) width++;
  while (width > 0 && windowPairs(width, n) > allowed) width--;
  return width;
};

/** Query-key pairs when each of n queries sees at most `width` keys up to itself. */
export const windowPairs = (width: number, n: number): number => width * n - (width * (width - 1)) / 2;

const oneBudget = (budgets: readonly Budget[]): Budget => {
  const [first] = budgets;
  if (first === undefined || budgets.some(({ fraction }) => fraction !== first.fraction)) {
    throw new WinnowError(
      'ERR_CONTRACT',
      'sink-window-prefill',
      'rows of one budget: each has a prefill of its own',
      budgets.length,
    );
  }
  return first;
};
