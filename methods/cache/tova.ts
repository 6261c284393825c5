import { z } from 'zod';
import { keepsEverything } from '../budget.js';
import {
  type CacheView,
  defineMethod,
  type LayerActions,
  type RowFacts,
  type SlotsView,
  type Tensor,
} from '../contract.js';
import { declaration } from '../declaration.js';
import { evictableLayers, keepAction } from '../evictor.js';

/**
 * TOVA: hold at most a budget of tokens in each layer; after every step drop those that the newest query attends to least.
 *
 * The budget covers everything, the question and the answer too. One set per layer, by the mean weight over all heads.
 * Cost: once an attention pass of the last query, then the weights that the step computed anyway. State: none.
 * A budget of the whole context is no limit: nothing is ever dropped.
 */
export const tova = defineMethod({
  id: 'tova',
  name: 'TOVA',
  family: 'eviction',
  source: { title: 'Transformers are Multi-State RNNs', arxiv: '2401.06104', section: '4' },
  deviations: [
    'the prompt is prefilled whole and cut to the budget at its end',
    'a question fed as one step of several tokens is cut once, by its last query',
    'the newest token is never dropped',
  ],
  training: 'none',
  parameters: z.strictObject({}),
  budgetAxis: 'residentBytes',
  budgetControl: 'exact',
  covers: 'total',
  declare: () =>
    declaration({
      needs: [
        { view: 'windowQueries', last: 1 },
        { view: 'probs', scope: 'queryHead' },
      ],
    }),
  hooks: () => ({
    cache: {
      finishPrefill: (views) =>
        evictableLayers(views).map((view) =>
          keepHeaviest(view, view.ops.windowScores(view.windowQueries(), view.slots, { reduce: 'mean', gqa: 'layer' })),
        ),
      maintain: (views) =>
        evictableLayers(views)
          .filter((view) => isOverBudget(view.slots, view.rows))
          .map((view) => keepHeaviest(view, view.ops.reduceHeads(view.probs(), 'mean'))),
    },
  }),
});

const keepHeaviest = (view: CacheView, weights: Tensor): LayerActions =>
  keepAction(view, view.ops.topK(weights, limits(view.slots, view.rows), { scope: 'layer', sinks: 0, recents: 1 }));

/** Slots a row may hold. */
const limits = (slots: SlotsView, rows: RowFacts): number[] =>
  rows.budgets.map((budget) => (keepsEverything(budget) ? slots.maxLen : Math.max(1, budget.tokens)));

const isOverBudget = (slots: SlotsView, rows: RowFacts): boolean =>
  limits(slots, rows).some((limit, row) => slots.lens[row * slots.numKvHeads]! > limit);
