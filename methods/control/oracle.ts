import { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import { createRandom } from '../../core/random.js';
import { boundaryCounts, keepsEverything, requireRoom, slotsAfterContext } from '../budget.js';
import { type CacheView, defineMethod, type SequenceFacts } from '../contract.js';
import { declaration } from '../declaration.js';
import { evictableLayers, keepAction } from '../evictor.js';

/**
 * Evidence oracle: sinks, recent tokens and the tokens the answer needs, then a random choice of the rest.
 *
 * Shows what a perfect choice of tokens could reach at a budget; it reads the answer's place, so it is never ranked.
 * Units: tokens. Cost: one random number per slot and head on the host, at the end of the prefill. State: none.
 * Throws: ERR_UNSUPPORTED when the sample names no evidence, or when evidence, sinks and recents exceed the budget.
 */
export const oracle = defineMethod({
  id: 'oracle',
  name: 'Evidence oracle',
  family: 'control',
  source: { title: 'Control: the evidence spans of the sample' },
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
    seed: z.int().min(0).max(0xffff_ffff).default(0).describe('Another seed, another choice of the rest.'),
  }),
  budgetAxis: 'residentBytes',
  budgetControl: 'exact',
  declare: () => declaration({ needs: [{ view: 'evidence' }] }),
  hooks: ({ params, budget }) => ({
    admit: (sequence) => {
      requireRoom('oracle', budget, { sinks: params.sinkTokens, recents: params.recentTokens }, sequence);
      const needed = neededSlots(sequence, params).size;
      if (keepsEverything(budget) || needed <= budget.tokens) return;
      throw new WinnowError(
        'ERR_UNSUPPORTED',
        `oracle at a budget of ${budget.tokens} of ${budget.contextTokens} tokens`,
        `at least ${needed} tokens for evidence, sinks and recents`,
        budget.tokens,
        'Raise the budget.',
      );
    },
    cache: {
      finishPrefill: (views) =>
        evictableLayers(views).map((view) => keepAction(view, view.ops.lists(slotsPerRow(view, params), 'kvHead'))),
    },
  }),
});

interface OracleParams {
  readonly sinkTokens: number;
  readonly recentTokens: number;
  readonly seed: number;
}

/** Context slots that must stay. Before anything was evicted, slot and position are one. */
const neededSlots = (
  { evidence, contextLength }: SequenceFacts,
  { sinkTokens, recentTokens }: OracleParams,
): Set<number> => {
  if (evidence === undefined || evidence.length === 0) {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      'oracle',
      'a sample with evidence spans',
      'none',
      'Use it on tasks that name their evidence.',
    );
  }
  const needed = new Set<number>();
  const take = (start: number, end: number): void => {
    for (let slot = Math.max(0, start); slot < Math.min(end, contextLength); slot++) needed.add(slot);
  };
  take(0, sinkTokens);
  take(contextLength - recentTokens, contextLength);
  for (const { start, end } of evidence) take(start, end);
  return needed;
};

/** Kept slots [row][head], ascending. One random order per sample and head: the choices of two budgets are nested. */
const slotsPerRow = (view: CacheView, params: OracleParams): number[][][] => {
  const { rows, slots, layer } = view;
  const extra = slotsAfterContext(rows);
  const counts = boundaryCounts(rows);
  const orders = new Map<number, number[][]>();
  return rows.sequences.map((sequence, row) => {
    let perHead = orders.get(sequence.sampleSeed);
    if (perHead === undefined) {
      const needed = neededSlots(sequence, params);
      const rest = Array.from({ length: sequence.contextLength }, (_, slot) => slot).filter(
        (slot) => !needed.has(slot),
      );
      perHead = Array.from({ length: slots.numKvHeads }, (_, head) => [
        ...needed,
        ...createRandom(params.seed, 'oracle', sequence.sampleSeed, layer, head).shuffle(rest),
      ]);
      orders.set(sequence.sampleSeed, perHead);
    }
    const question = Array.from({ length: extra }, (_, i) => sequence.contextLength + i);
    return perHead.map((order) => [...order.slice(0, counts[row]! - extra), ...question].sort((a, b) => a - b));
  });
};
