/** What the tasks of RULER share. */
import { z } from 'zod';
import type { Task } from '../contract.js';

export const rulerSource: Task['source'] = {
  title: "RULER: What's the Real Context Size of Your Long-Context Language Models?",
  arxiv: '2404.06654',
  url: 'https://github.com/NVIDIA/RULER',
  licence: 'generated here (upstream: Apache-2.0)',
};

/**
 * How a RULER task draws its samples: each from a stream of its own, or all from the one stream of upstream's generator, which repeats
 * orders and places between samples and depends on the tokenizer.
 */
export const Sampling = z.enum(['independent', 'upstream']).default('independent');
export type Sampling = z.output<typeof Sampling>;
