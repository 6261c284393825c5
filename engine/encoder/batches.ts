import type { EncoderInput } from './text.js';

/** Inputs that are run together, padded to one length. */
export interface Batch {
  readonly members: readonly number[];
  readonly paddedTokens: number;
}

/** Lengths are padded to whole steps, so that few different shapes occur and little is padded. */
const STEP_TOKENS = 16;
/** Padded tokens of one batch: enough to keep the cores busy, little enough for the scores of all heads. */
const MOST_TOKENS = 2_048;

/**
 * Batches of like length, in a fixed order. A text's padded length depends on the text alone, never on its company, so that its numbers
 * do not either.
 */
export const batchesOf = (inputs: readonly Pick<EncoderInput, 'ids'>[], maxTokens: number): Batch[] => {
  const buckets = new Map<number, number[]>();
  inputs.forEach(({ ids }, index) => {
    const padded = Math.max(ids.length, Math.min(maxTokens, Math.ceil(ids.length / STEP_TOKENS) * STEP_TOKENS));
    const bucket = buckets.get(padded);
    if (bucket === undefined) buckets.set(padded, [index]);
    else bucket.push(index);
  });
  const batches: Batch[] = [];
  for (const [paddedTokens, members] of [...buckets].sort(([a], [b]) => a - b)) {
    const rows = Math.max(1, Math.floor(MOST_TOKENS / paddedTokens));
    for (let start = 0; start < members.length; start += rows)
      batches.push({ members: members.slice(start, start + rows), paddedTokens });
  }
  return batches;
};
