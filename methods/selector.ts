/** Attention plans of one part, for methods that choose what a step reads. */
import type { AttentionPlan, Ragged } from './contract.js';

export const readAll: AttentionPlan = { parts: [{ keys: { kind: 'all' } }], mix: 'one-softmax' };

/** The listed slots and the step's own. */
export const readTokens = (indices: Ragged): AttentionPlan => ({
  parts: [{ keys: { kind: 'tokens', indices } }],
  mix: 'one-softmax',
});

/** The listed pages of `pageSize` slots and the step's own slots; all queries of the step share the lists. */
export const readPages = (lists: Ragged, pageSize: number, queryLen: number): AttentionPlan => ({
  parts: [{ keys: { kind: 'blocks', queryBlock: queryLen, keyBlock: pageSize, lists } }],
  mix: 'one-softmax',
});
