import { z } from 'zod';
import { defineEvictor } from '../evictor.js';

/**
 * Random eviction: sinks, recent tokens and a uniformly random choice of the rest, drawn per layer and KV head.
 *
 * A method that does not beat it at equal bytes has learnt nothing from the text.
 * Units: tokens. Cost: one hash per slot, no key is read. State: none; the choice is a hash of (seed, sample, layer, head, slot).
 * Throws: ERR_UNSUPPORTED when sinks and recents exceed the budget.
 */
export const random = defineEvictor({
  id: 'random',
  name: 'Random eviction',
  family: 'control',
  source: { title: 'Control: uniform choice of tokens' },
  deviations: [],
  training: 'none',
  control: true,
  parameters: z.strictObject({
    sinkTokens: z.int().min(0).default(4).describe('First tokens always kept (4, as streaming-llm).'),
    recentTokens: z
      .int()
      .min(0)
      .default(32)
      .describe('Last tokens of the context always kept (32, as the window of snapkv).'),
    seed: z.int().min(0).max(0xffff_ffff).default(0).describe('Another seed, another choice.'),
  }),
  protect: ({ sinkTokens, recentTokens }) => ({ sinks: sinkTokens, recents: recentTokens }),
  comparable: 'model',
  score: ({ ops, slots, rows }, { seed }) => ops.randomScores(slots, rows, seed),
});
