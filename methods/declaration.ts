import type { Declaration } from './contract.js';

/** A declaration where everything unsaid has its plain value: post-RoPE keys at their positions, no needs, no state, no host reads. */
export const declaration = (said: Partial<Declaration> = {}): Declaration => ({
  needs: [],
  changesPrefill: false,
  prefillOrder: 'any',
  layout: { keyRope: 'post', positions: 'keep', tier: false },
  state: {},
  logits: 'full',
  hostReadsPerStep: 0,
  waives: {},
  ...said,
});
