import { z } from 'zod';
import { defineEvictor } from '../evictor.js';

/**
 * SnapKV: keep the tokens that the last queries of the prompt attend to, smoothed over neighbours, and those last tokens.
 *
 * Works when the question is in the window (query-aware); without it the window must guess what will be asked.
 * Units: tokens. Cost: attention of `observationWindow` queries over all keys, once. State: none.
 * Throws: ERR_UNSUPPORTED when the window does not fit the budget.
 */
export const snapkv = defineEvictor({
  id: 'snapkv',
  name: 'SnapKV',
  source: { title: 'SnapKV: LLM Knows What You are Looking for Before Generation', arxiv: '2404.14469', section: '4' },
  deviations: [
    'the query heads of a group share one set, ranked by the mean of their scores; the original repeats the KV heads first',
    'weights are averaged over the window instead of summed, which ranks alike',
    'smoothing runs over the whole prompt, so the last tokens before the window also see weights inside it',
    'under the query-aware protocol the question stays whole and is not counted; the window counts where it reaches into the context',
  ],
  training: 'none',
  parameters: z.strictObject({
    observationWindow: z
      .int()
      .min(1)
      .max(4096)
      .default(32)
      .describe("Last queries that score, kept too (32 in the authors' code)."),
    poolSize: z
      .int()
      .min(1)
      .refine((size) => size % 2 === 1, 'Invalid input: expected an odd number')
      .default(5)
      .describe("Neighbouring slots smoothed over (5 in the authors' code)."),
    pool: z.enum(['avg', 'max']).default('avg').describe("Mean or maximum (avg in the authors' code)."),
  }),
  declares: ({ observationWindow }) => ({ needs: [{ view: 'windowQueries', last: observationWindow }] }),
  protect: ({ observationWindow }) => ({ sinks: 0, recents: 0, promptRecents: observationWindow }),
  comparable: 'layer',
  score: (view, { pool, poolSize }) =>
    view.ops.windowScores(view.windowQueries(), view.slots, {
      reduce: 'mean',
      pool: { kind: pool, size: poolSize },
      gqa: 'mean',
    }),
});
