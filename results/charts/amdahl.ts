import type { ModelFactsRecord } from '../provenance-schema.js';

/** The best end-to-end speed-up that a method could have which makes nothing but attention cheaper, by counted work. */
export interface AmdahlCaps {
  /** By multiply-adds of prefill. */
  readonly prefill: number;
  /** By bytes read per decode step: weights, and keys and values. */
  readonly decode: number;
}

/** Layers that slide attend to a window only: their share is not counted here. */
const SLIDING = /^gemma/;

/**
 * Caps of a dense model: work of everything ÷ work of everything but attention over the cache. Prefill counts the products of all layers
 * (projections, gated FFN) and causal attention over `tokens` prompt tokens; the head runs for one token and is left out. Undefined for
 * families whose layers slide.
 */
export const amdahlCaps = (
  model: ModelFactsRecord,
  { tokens, kvBytesRead }: { readonly tokens: number; readonly kvBytesRead: number },
): AmdahlCaps | undefined => {
  if (SLIDING.test(model.architecture)) return undefined;
  const { hiddenSize, ffnSize, numQueryHeads, numKvHeads, headDim } = model;
  const matrices = hiddenSize * headDim * (2 * numQueryHeads + 2 * numKvHeads) + 3 * hiddenSize * ffnSize;
  // Scores and the weighted sum, over the mean of (tokens + 1) / 2 positions.
  const attention = numQueryHeads * headDim * (tokens + 1);
  return { prefill: 1 + attention / matrices, decode: 1 + kvBytesRead / model.weightBytes };
};
