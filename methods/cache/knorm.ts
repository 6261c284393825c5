import { z } from 'zod';
import { defineEvictor } from '../evictor.js';

/**
 * Knorm: keep the tokens whose keys have the smallest L2 norm.
 *
 * Needs no query, so it is the same for every question; fails on models whose key norms say nothing about later attention.
 * Cost: one pass over the keys, once. State: none.
 */
export const knorm = defineEvictor({
  id: 'knorm',
  name: 'Knorm',
  source: {
    title: 'A Simple and Effective L2 Norm-Based Strategy for KV Cache Compression',
    arxiv: '2406.11430',
    section: '3',
  },
  deviations: ['tokens are dropped once, when the prefill ends; the paper also drops while it generates'],
  training: 'none',
  parameters: z.strictObject({
    sinkTokens: z.int().min(0).default(0).describe('First tokens always kept (none in the paper).'),
    recentTokens: z.int().min(0).default(0).describe('Last tokens of the context always kept (none in the paper).'),
  }),
  protect: ({ sinkTokens, recentTokens }) => ({ sinks: sinkTokens, recents: recentTokens }),
  comparable: 'head',
  score: ({ ops, slots }) => ops.scale(ops.slotNorms(slots, 'keys'), -1),
});
