import { z } from 'zod';

/**
 * How a RULER task draws its samples: each from a stream of its own, or all from the one stream of upstream's generator, which repeats
 * orders and places between samples and depends on the tokenizer.
 */
export const Sampling = z.enum(['independent', 'upstream']).default('independent');
export type Sampling = z.output<typeof Sampling>;
