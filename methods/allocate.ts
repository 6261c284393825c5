/** Evictors whose budget an allocator spreads over layers and heads, and the allocators themselves. */
import { WinnowError } from '../core/errors.js';
import { boundaryCounts, boundaryProtection, requireRoom, slotsAfterContext } from './budget.js';
import type { Allocator, CacheView, Method, Ops, Tensor } from './contract.js';
import { type Evictor, evictableLayers, keepAction } from './evictor.js';

const reach = { head: 0, layer: 1, model: 2 } as const;

/** The evictor with its slots per layer and head decided by `allocatorOf`; the sum over evictable heads stays that of its budget. */
export const withAllocator = <P extends object>(
  evictor: Evictor<P>,
  allocatorOf: (params: P) => Allocator,
  identity: Pick<Method<P>, 'id' | 'name' | 'source' | 'deviations'>,
): Method<P> => {
  const method: Method<P> = {
    ...evictor,
    ...identity,
    hooks: ({ params, budget }) => {
      const protection = evictor.protection(params);
      const scorer = evictor.scorer(params);
      const allocator = allocatorOf(params);
      if (reach[scorer.comparable] < reach[allocator.requires]) {
        throw new WinnowError(
          'ERR_COMPOSE',
          identity.id,
          `scores that compare across a ${allocator.requires}`,
          `${evictor.id}, whose scores compare across a ${scorer.comparable}`,
          'Take another scorer or allocator.',
        );
      }
      return {
        admit: (sequence) => requireRoom(identity.id, budget, protection, sequence),
        cache: {
          finishPrefill: (views) => {
            const open = evictableLayers(views);
            if (open.length === 0) return [];
            const scores = open.map((view) => scorer.score(view));
            const counts = allocator.allocate(scores, open);
            return open.map((view, at) => {
              const slots = view.ops.topK(scores[at]!, view.ops.layerOf(counts, at), {
                scope: 'kvHead',
                ...boundaryProtection(protection, slotsAfterContext(view.rows)),
              });
              return keepAction(view, slots);
            });
          },
        },
      };
    },
  };
  return method;
};

/** The same number of slots in every head: what an evictor does without an allocator. */
export const uniform: Allocator = {
  requires: 'head',
  allocate: (_scores, views) => stackCounts(views, (row) => views.map(() => boundaryCounts(views[0]!.rows)[row]!)),
};

/**
 * Budgets that fall linearly with depth, the mean being the row's own (PyramidKV): the last layer gets `1 / beta` of it, or more where
 * the first would need more slots than there are. `window` slots of every head are outside the slope.
 */
export const pyramid = (beta: number, window: number): Allocator => ({
  requires: 'head',
  allocate: (_scores, views) => {
    const { rows, slots } = views[0]!;
    const extra = slotsAfterContext(rows);
    const length = slots.maxLen - extra;
    return stackCounts(views, (row) => {
      const inner = Math.min(rows.budgets[row]!.tokens, length) - window;
      const lowest = inner / beta;
      const highest = Math.min(2 * inner - lowest, length - window);
      return linear(highest, 2 * inner - highest, views.length).map((count) => count + window + extra);
    });
  },
});

/** Whole numbers on a line from `first` to `last` whose sum is that of the line, rounded: differences of rounded partial sums. */
const linear = (first: number, last: number, count: number): number[] => {
  const partial = (n: number): number =>
    count === 1 ? (n * (first + last)) / 2 : n * first + ((last - first) * n * (n - 1)) / (2 * (count - 1));
  return Array.from({ length: count }, (_, i) => Math.round(partial(i + 1)) - Math.round(partial(i)));
};

/**
 * Heads of a layer compete for its slots by score (Ada-KV): every head keeps `floor` of the budget for sure, the best of the rest go
 * where the scores are highest.
 */
export const adaptive = (floor: number, protectedSlots: number): Allocator => ({
  requires: 'layer',
  allocate: (scores, views) => {
    const { ops, rows, slots, shape } = views[0]!;
    const whole = boundaryCounts(rows).map((count) => Math.min(count, slots.maxLen));
    const safe = whole.map((count) =>
      Math.min(count, Math.max(Math.floor(floor * count), protectedSlots + slotsAfterContext(rows))),
    );
    return ops.stack(
      scores.map((score) =>
        adaptiveLayer(ops, score, shape.numKvHeads, whole, safe, slotsAfterContext(rows) + protectedSlots),
      ),
    );
  },
});

const adaptiveLayer = (
  ops: Ops,
  score: Tensor,
  heads: number,
  whole: readonly number[],
  safe: readonly number[],
  recents: number,
): Tensor => {
  const sure = ops.topK(score, safe, { scope: 'kvHead', sinks: 0, recents });
  const rest = ops.topK(
    ops.without(score, sure),
    whole.map((count, row) => heads * (count - safe[row]!)),
    { scope: 'kvHead', sinks: 0, recents: 0, across: 'heads' },
  );
  return ops.plus(rest.lens, safe);
};

/** i32 [rows, layers, heads] with one number a layer and row. */
const stackCounts = (views: readonly CacheView[], countsOf: (row: number) => readonly number[]): Tensor => {
  const { ops, rows, shape } = views[0]!;
  const values = rows.budgets.flatMap((_, row) =>
    countsOf(row).flatMap((count) => new Array<number>(shape.numKvHeads).fill(count)),
  );
  return ops.constant(values, [rows.count, views.length, shape.numKvHeads], 'i32');
};
