import { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import { keepsEverything } from '../budget.js';
import {
  type Budget,
  type CachePlan,
  type CacheView,
  defineMethod,
  type ModelFacts,
  type SequenceFacts,
} from '../contract.js';
import { declaration } from '../declaration.js';

/**
 * KIVI: store older keys in 2 or 4 bits per channel and older values in 2 or 4 bits per token; the newest tokens stay whole.
 *
 * Keys have channels of outlying size, so each channel gets its own scale; values have none, so each token gets one.
 * Units: bits, tokens. Cost: each page of 64 slots is packed once. State: none beyond the cache, which holds the packed pages.
 * Throws: ERR_UNSUPPORTED when the bits and the residual do not fit the budget, or groups do not divide the head.
 */
export const kivi = defineMethod({
  id: 'kivi',
  name: 'KIVI',
  family: 'quantisation',
  source: { title: 'KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache', arxiv: '2402.02750', section: '3' },
  deviations: [
    'keys and values are packed in whole pages of 64 slots; the paper packs keys by group and values token by token',
    'the residual therefore holds residualTokens to residualTokens + 63 tokens',
    'bits decide the size, so a budget is an upper bound: the setting is refused where it does not fit',
  ],
  training: 'none',
  parameters: z.strictObject({
    bits: z.literal([2, 4]).default(2).describe('Bits of a stored number (2 in the title, 4 beside it).'),
    groupSize: z
      .literal([16, 32, 64])
      .default(32)
      .describe('Numbers that share a scale and a minimum (32 in the paper).'),
    residualTokens: z.int().min(0).default(128).describe('Newest tokens left whole (128 in the paper).'),
  }),
  budgetAxis: 'residentBytes',
  budgetControl: 'bounded',
  declare: () =>
    declaration({
      waives: {
        T1: 'bits decide what is stored: a full budget still quantises',
        C16: 'bits decide what is stored: a full budget still quantises',
      },
    }),
  hooks: ({ params, budget }, model) => ({
    admit: (sequence) => requireFit(params, budget, model, sequence),
    cache: {
      finishPrefill: (views) => quantiseOld(views, params),
      maintain: (views) => quantiseOld(views, params),
    },
  }),
});

interface KiviParams {
  readonly bits: 2 | 4;
  readonly groupSize: 16 | 32 | 64;
  readonly residualTokens: number;
}

/** The whole pages that the residual no longer covers; pages packed before are left alone by the engine. */
const quantiseOld = (views: readonly CacheView[], { bits, groupSize, residualTokens }: KiviParams): CachePlan =>
  views
    .filter(({ shape, slots }) => shape.evictable && slots.maxLen >= residualTokens + pageSlots)
    .map(({ layer, slots: { maxLen } }) => {
      const what = { upTo: maxLen, leaveLast: residualTokens, bits, group: groupSize } as const;
      return {
        layer,
        actions: [
          { kind: 'quantise', what: 'keys', along: 'channel', ...what },
          { kind: 'quantise', what: 'values', along: 'token', ...what },
        ],
      };
    });

const pageSlots = 64;

/** Resident bytes of `slots` slots over all evictable layers: whole numbers for the residual, codes with scale and minimum in f16 for the rest. */
export const kiviBytes = (
  { bits, groupSize, residualTokens }: KiviParams,
  model: ModelFacts,
  slots: number,
): number => {
  const packed = Math.floor(Math.max(0, slots - residualTokens) / pageSlots) * pageSlots;
  return evictableWidths(model).reduce(
    (bytes, { heads, width }) =>
      bytes + heads * width * (packed * (bits / 8 + 4 / groupSize) + (slots - packed) * model.elementBytes),
    0,
  );
};

const evictableWidths = (model: ModelFacts): { heads: number; width: number }[] =>
  model.layers
    .filter((layer) => layer.evictable)
    .map((layer) => ({ heads: layer.numKvHeads, width: layer.headDim + layer.headDimV }));

const requireFit = (params: KiviParams, budget: Budget, model: ModelFacts, sequence: SequenceFacts): void => {
  const uneven = model.layers.find((layer) => layer.evictable && layer.headDimV % params.groupSize !== 0);
  if (uneven !== undefined) {
    const fix = 'Set groupSize to a divisor.';
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      'kivi.groupSize',
      `a divisor of headDim (${uneven.headDimV})`,
      params.groupSize,
      fix,
    );
  }
  if (keepsEverything(budget)) return;
  const extra = sequence.length - sequence.contextLength;
  const slotBytes =
    evictableWidths(model).reduce((bytes, { heads, width }) => bytes + heads * width, 0) * model.elementBytes;
  const needed = kiviBytes(params, model, sequence.length) / slotBytes - extra;
  if (needed <= budget.tokens) return;
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    `kivi with ${params.bits} bits at a budget of ${budget.tokens} of ${budget.contextTokens} tokens`,
    `at least the bytes of ${Math.ceil(needed)} whole tokens`,
    budget.tokens,
    'Raise the budget, lower residualTokens, or take bits: 2.',
  );
};
