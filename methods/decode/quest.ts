import { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import { keepsEverything, stepCounts } from '../budget.js';
import { type Budget, defineMethod, type ModelFacts, type StepView } from '../contract.js';
import { declaration } from '../declaration.js';
import { evictableLayerIndices } from '../evictor.js';
import { readAll, readPages } from '../selector.js';

/**
 * Quest: read only the pages whose keys could give the query its largest products, bounded by each page's channel-wise minimum and maximum.
 *
 * Keeps the whole cache, so nothing is lost for later questions; misses a page only if its bound is below other pages' bounds.
 * Shapes: pages [rows, numKvHeads, pages, 2, headDim]: minimum, maximum. Units: tokens read per step, KV head and layer on average.
 * Cost: 2 numbers per channel and page per step, then attention over the chosen pages. State: pages, f32.
 * Throws: ERR_UNSUPPORTED when the budget leaves less than two pages beside the dense layers.
 */
export const quest = defineMethod({
  id: 'quest',
  name: 'Quest',
  family: 'selection',
  source: {
    title: 'Quest: Query-Aware Sparsity for Efficient Long-Context LLM Inference',
    arxiv: '2406.10774',
    section: '3',
  },
  deviations: [
    'the query heads of a group share one set of pages, ranked by the largest of their bounds',
    'the newest page is always read, as in the CUDA code and unlike the Python evaluation',
    'what the dense layers read beyond the budget is taken from the other layers, so that the mean is within the budget',
    'page bounds are float32: with bf16 keys they take twice the bytes of the paper',
    'questions fed after the prefill also read selected pages, one set for all tokens of a step',
  ],
  training: 'none',
  parameters: z.strictObject({
    pageSize: z.literal([16, 32, 64]).default(16).describe('Slots of a page (16 in the paper).'),
    denseLayers: z.int().min(0).default(2).describe('First layers that read everything (2 in the paper).'),
    gqa: z.enum(['max', 'sum', 'mean']).default('max').describe('How bounds of the query heads of a group are joined.'),
  }),
  budgetAxis: 'bytesRead',
  budgetControl: 'bounded',
  declare: ({ params: { pageSize } }, model) =>
    declaration({
      state: {
        pages: {
          dtype: 'f32',
          life: 'sequence',
          per: 'page',
          scope: 'kvHead',
          width: 2 * Math.max(...model.layers.map((layer) => layer.headDim)),
          pageSize,
          from: 'keyMinMax',
        },
      },
    }),
  hooks: ({ params, budget }, model) => {
    // Asked for in every layer of every step, the same for a row throughout.
    const left = new Map<Budget, Budget>();
    const sparseBudget = (budget: Budget): Budget => {
      const known = left.get(budget);
      if (known !== undefined) return known;
      const sparse = { ...budget, tokens: sparseLayerTokens(params, budget, model) };
      left.set(budget, sparse);
      return sparse;
    };
    return {
      admit: () => requirePages(params, budget, model),
      decode: {
        select: (view) => {
          const pages = pagesPerRow(view, params, sparseBudget);
          if (pages === 'all') return readAll;
          const { ops, shape, state, queryLen } = view;
          const bounds = ops.blockScores(view.queries('rotated'), state.read('pages'), shape, params.gqa);
          const lists = ops.topK(bounds, pages, { scope: 'kvHead', sinks: 0, recents: 1 });
          return readPages(lists, params.pageSize, queryLen);
        },
      },
    };
  },
});

interface QuestParams {
  readonly pageSize: number;
  readonly denseLayers: number;
  readonly gqa: 'max' | 'sum' | 'mean';
}

const pagesPerRow = (
  { rows, shape, layer, slots }: StepView,
  params: QuestParams,
  sparseBudget: (budget: Budget) => Budget,
): number[] | 'all' => {
  if (!shape.evictable || layer < params.denseLayers || rows.budgets.every(keepsEverything)) return 'all';
  const budgets = rows.budgets.map(sparseBudget);
  return stepCounts(slots, budgets).map((tokens, row) =>
    keepsEverything(budgets[row]!)
      ? Math.ceil(slots.maxLen / params.pageSize)
      : Math.max(1, Math.floor(tokens / params.pageSize)),
  );
};

/** Tokens left for each layer that selects, once the dense ones have read everything; the mean over layers stays within the budget. */
export const sparseLayerTokens = (
  { denseLayers }: Pick<QuestParams, 'denseLayers'>,
  budget: Budget,
  model: ModelFacts,
): number => {
  if (keepsEverything(budget)) return budget.contextTokens;
  const evictable = evictableLayerIndices(model);
  const dense = evictable.filter((layer) => layer < denseLayers).length;
  return Math.floor((evictable.length * budget.tokens - dense * budget.contextTokens) / (evictable.length - dense));
};

const requirePages = (params: QuestParams, budget: Budget, model: ModelFacts): void => {
  const tokens = sparseLayerTokens(params, budget, model);
  if (keepsEverything(budget) || tokens >= 2 * params.pageSize) return;
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    `quest at a budget of ${budget.tokens} of ${budget.contextTokens} tokens`,
    `at least two pages of ${params.pageSize} tokens for each layer beside ${params.denseLayers} dense ones`,
    Number.isFinite(tokens) ? Math.max(0, tokens) : 0,
    'Raise the budget or lower denseLayers.',
  );
};
