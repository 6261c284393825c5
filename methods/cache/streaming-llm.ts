import { z } from 'zod';
import { boundaryCounts, requireRoom } from '../budget.js';
import { defineMethod } from '../contract.js';
import { declaration } from '../declaration.js';
import { evictableLayers, keepAction } from '../evictor.js';

/**
 * StreamingLLM: keep the first tokens and the most recent ones, drop the middle.
 *
 * Works when the answer sits at an end of the context and fails on everything between.
 * Units: tokens. Cost: no key is read; with `positions: cache` a step turns the keys it reads. State: none. Throws: ERR_UNSUPPORTED when the budget leaves no recent token beside the sinks.
 */
export const streamingLlm = defineMethod({
  id: 'streaming-llm',
  name: 'StreamingLLM',
  family: 'eviction',
  source: { title: 'Efficient Streaming Language Models with Attention Sinks', arxiv: '2309.17453', section: '3.2' },
  deviations: [
    'keys keep the rotation of their place in the text by default; the paper renumbers positions inside the cache (`positions: cache`)',
    'with `positions: cache`, stored keys are turned from their place in the text to their place in the cache: the paper stores them unturned',
    'the middle is dropped once, when the prefill ends; the paper also slides the window while it generates',
  ],
  training: 'none',
  parameters: z.strictObject({
    sinkTokens: z.int().min(0).default(4).describe('First tokens always kept (4 in the paper).'),
    positions: z
      .enum(['original', 'cache'])
      .default('original')
      .describe('Positions after the eviction: of the text, or counted inside the cache (the paper).'),
  }),
  budgetAxis: 'residentBytes',
  budgetControl: 'exact',
  declare: ({ params: { positions } }) =>
    declaration(
      positions === 'original'
        ? {}
        : {
            layout: { keyRope: 'post', positions: 'compact', tier: false },
            waives: { C28: 'a part that reads slots at their places in the text does not go with it' },
          },
    ),
  hooks: ({ params: { sinkTokens }, budget }) => ({
    admit: (sequence) => requireRoom('streaming-llm', budget, { sinks: sinkTokens, recents: 1 }, sequence),
    cache: {
      finishPrefill: (views) =>
        evictableLayers(views).map((view) =>
          keepAction(view, view.ops.sinkRecent(view.slots, boundaryCounts(view.rows), sinkTokens)),
        ),
    },
  }),
});
