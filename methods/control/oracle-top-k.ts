import { z } from 'zod';
import { keepsEverything, stepCounts } from '../budget.js';
import { defineMethod } from '../contract.js';
import { declaration } from '../declaration.js';
import { readAll, readTokens } from '../selector.js';

/**
 * Oracle top-k: at every step each KV head reads the slots that true attention weighs most.
 *
 * The bound for every selector of tokens at this budget; it computes all weights to choose, so it saves nothing and is never ranked.
 * Units: tokens read per step and KV head. Cost: one pass over all keys per step before attention, billed. State: none.
 * A step of several tokens (the question) reads one set: the largest weight any of its queries gives a slot decides.
 */
export const oracleTopK = defineMethod({
  id: 'oracle-top-k',
  name: 'Oracle top-k',
  family: 'control',
  source: { title: 'Control: exact top-k by true attention', arxiv: '2406.10774', section: '3.1' },
  deviations: ['the query heads of a group share one set, ranked by the mean of their attention weights'],
  training: 'none',
  control: true,
  parameters: z.strictObject({}),
  budgetAxis: 'bytesRead',
  budgetControl: 'exact',
  declare: () => declaration(),
  hooks: () => ({
    decode: {
      select: (view) => {
        const { ops, slots, rows, shape, queryLen } = view;
        if (!shape.evictable || rows.budgets.every(keepsEverything)) return readAll;
        const weights = ops.windowScores(view.queries('rotated'), slots, { reduce: 'max', gqa: 'mean' });
        const indices = ops.topK(weights, stepCounts(slots, rows.budgets), {
          scope: 'kvHead',
          sinks: 0,
          recents: queryLen,
        });
        return readTokens(indices);
      },
    },
  }),
});
