/** Methods that break one promise each: the conformance suite must fail on every one of them. Only tests import it. */
import { z } from 'zod';
import { boundaryCounts, slotsAfterContext } from './budget.js';
import { knorm } from './cache/knorm.js';
import { snapkv } from './cache/snapkv.js';
import type { ConformanceOptions } from './conformance-subject.js';
import { watchHooks } from './conformance-watch.js';
import type { CacheView, Hooks, Method, Property, StepView } from './contract.js';
import { oracleTopK } from './control/oracle-top-k.js';
import { random } from './control/random.js';
import { declaration } from './declaration.js';
import { evictableLayers, keepAction } from './evictor.js';
import { sinkWindowPrefill } from './prefill/sink-window.js';
import { readAll } from './selector.js';

const mutant = (base: Method, hooks: Hooks, change: Partial<Method> = {}): Method => ({
  ...base,
  hooks: () => hooks,
  ...change,
});

/** An evictor that keeps `lists(view)`: kept slots of [row][head]. */
const keeping = (lists: (view: CacheView) => number[][][]): Hooks => ({
  cache: { finishPrefill: (views) => views.map((view) => keepAction(view, view.ops.lists(lists(view), 'kvHead'))) },
});

/** The last slots of each head, as many as `count` says. */
const lastSlots = (view: CacheView, count: (budgeted: number, row: number, head: number) => number): number[][][] =>
  boundaryCounts(view.rows).map((budgeted, row) =>
    Array.from({ length: view.slots.numKvHeads }, (_, head) => {
      const length = view.slots.maxLen;
      const kept = Math.min(length, count(budgeted, row, head));
      return Array.from({ length: kept }, (_slot, i) => length - kept + i);
    }),
  );

const plain = (budgeted: number): number => budgeted;

const forgetfulSelect = (): Hooks => {
  let step = 0;
  const { select } = oracleTopK.hooks(
    { params: {}, budget: { tokens: 1, fraction: 1, contextTokens: 1, covers: 'context' }, protocol: 'query-aware' },
    facts0,
  ).decode!;
  return { decode: { select: (view: StepView) => (step++ > 3 ? readAll : select!(view)) } };
};
const facts0 = { layers: [] } as unknown as Parameters<Method['hooks']>[1];

export interface Mutant {
  readonly property: Property;
  readonly fault: string;
  readonly method: Method;
  readonly options?: ConformanceOptions;
}

export const mutants: readonly Mutant[] = [
  { property: 'C1', fault: 'counts its calls in a closure', method: { ...oracleTopK, hooks: forgetfulSelect } },
  {
    property: 'C2',
    fault: 'draws from Math.random',
    method: watchHooks(knorm, (_place, args, call) => {
      Math.random();
      return call(args);
    }),
  },
  {
    property: 'C3',
    fault: 'takes any parameter',
    method: { ...knorm, parameters: z.object({ sinkTokens: z.int().default(0), recentTokens: z.int().default(0) }) },
  },
  {
    property: 'C4',
    fault: 'declares a view that it never reads',
    method: { ...knorm, declare: () => declaration({ needs: [{ view: 'windowQueries', last: 4 }] }) },
  },
  {
    property: 'C4',
    fault: 'reads a view that it did not declare',
    method: { ...snapkv, declare: () => declaration({ needs: [{ view: 'probs', scope: 'kvHead' }] }) },
    options: { params: { observationWindow: 6 } },
  },
  {
    property: 'C5',
    fault: 'is random and does not say so',
    method: random,
    options: { params: { sinkTokens: 1, recentTokens: 1 } },
  },
  {
    property: 'C6',
    fault: 'looks at the number of rows',
    method: mutant(
      knorm,
      keeping((view) => lastSlots(view, (n) => n - view.rows.count)),
    ),
  },
  {
    property: 'C7',
    fault: 'changes the prefill and denies it',
    method: { ...sinkWindowPrefill, declare: () => declaration() },
  },
  {
    property: 'C11',
    fault: 'lets every chunk of the prompt see only itself',
    method: mutant(sinkWindowPrefill, {
      prefill: {
        plan: ({ queryLen }) => ({
          parts: [{ keys: { kind: 'window', sinkTokens: 0, recentTokens: queryLen } }],
          mix: 'one-softmax',
        }),
      },
    }),
  },
  {
    property: 'C12',
    fault: 'lets tokens see those behind them',
    method: mutant(sinkWindowPrefill, {
      prefill: { plan: () => ({ parts: [{ keys: { kind: 'all' }, visible: 'bidirectional' }], mix: 'one-softmax' }) },
    }),
  },
  {
    property: 'C24',
    fault: 'ranks keys by one channel of their rotation',
    method: mutant(
      knorm,
      {
        cache: {
          finishPrefill: (views) =>
            evictableLayers(views).map((view) => {
              const channel = view.ops.lists([new Array<number[]>(view.slots.numKvHeads).fill([0])], 'kvHead');
              const scores = view.ops.channelScores(view.windowQueries(), view.slots, channel, 'max');
              const how = { scope: 'kvHead', sinks: 0, recents: slotsAfterContext(view.rows) } as const;
              return keepAction(view, view.ops.topK(scores, boundaryCounts(view.rows), how));
            }),
        },
      },
      { declare: () => declaration({ needs: [{ view: 'windowQueries', last: 1 }] }) },
    ),
  },
  {
    property: 'C14',
    fault: 'keeps one token too many in one head',
    method: mutant(
      knorm,
      keeping((view) => lastSlots(view, (n, _row, head) => (head === 0 ? n + 1 : n))),
    ),
  },
  {
    property: 'C14',
    fault: 'keeps a token less than an exact budget',
    method: mutant(
      knorm,
      keeping((view) => lastSlots(view, (n) => n - 1)),
    ),
  },
  {
    property: 'C15',
    fault: 'shifts its window with the budget',
    method: mutant(
      knorm,
      keeping((view) =>
        lastSlots(view, plain).map((heads) =>
          heads.map((slots) => slots.map((slot) => slot - (slots[0]! % 7)).filter((slot) => slot >= 0)),
        ),
      ),
    ),
  },
  {
    property: 'T1',
    fault: 'evicts at a full budget',
    method: mutant(
      knorm,
      keeping((view) => lastSlots(view, (n) => n >> 1)),
    ),
  },
  {
    property: 'C16',
    fault: 'evicts at a full budget',
    method: mutant(
      knorm,
      keeping((view) => lastSlots(view, (n) => n - 1)),
    ),
  },
  {
    property: 'C19',
    fault: 'says that it changes the prefill and saves no pair',
    method: mutant(sinkWindowPrefill, { prefill: { plan: () => readAll } }),
  },
  {
    property: 'C21',
    fault: 'returns lists that do not ascend',
    method: mutant(
      knorm,
      keeping((view) => lastSlots(view, plain).map((heads) => heads.map((slots) => slots.toReversed()))),
    ),
  },
  {
    property: 'C21',
    fault: 'lists a slot twice',
    method: mutant(
      knorm,
      keeping((view) =>
        lastSlots(view, plain).map((heads) =>
          heads.map((slots) => slots.map((slot, i) => (i === 1 ? slots[0]! : slot))),
        ),
      ),
    ),
  },
  {
    property: 'C22',
    fault: 'crashes on a short context',
    method: watchHooks(knorm, (place, args, call) => {
      if (place === 'cache.finishPrefill' && (args[0] as readonly CacheView[])[0]!.slots.maxLen < 12)
        throw new RangeError('too short');
      return call(args);
    }),
  },
  {
    property: 'C23',
    fault: 'knows its heads by number',
    method: mutant(
      knorm,
      keeping((view) => lastSlots(view, (n, _row, head) => n - head)),
    ),
  },
  {
    property: 'T2',
    fault: 'depends on the number of KV heads',
    method: mutant(
      knorm,
      keeping((view) => lastSlots(view, (n) => n - view.slots.numKvHeads)),
    ),
  },
  {
    property: 'T7',
    fault: 'reads what attention weighs least',
    method: mutant(oracleTopK, {
      decode: {
        select: ({ ops, slots, rows, queries }) => {
          const weights = ops.scale(ops.windowScores(queries('rotated'), slots, { reduce: 'max', gqa: 'mean' }), -1);
          return {
            parts: [
              {
                keys: {
                  kind: 'tokens',
                  indices: ops.topK(
                    weights,
                    rows.budgets.map(({ tokens }) => tokens),
                    { scope: 'kvHead', sinks: 0, recents: 1 },
                  ),
                },
              },
            ],
            mix: 'one-softmax',
          };
        },
      },
    }),
  },
  {
    property: 'T10',
    fault: 'chooses by something that is not in the cache',
    method: mutant(knorm, {
      cache: {
        finishPrefill: (views) =>
          evictableLayers(views).map((view) => {
            const nudge = view.ops.scale(
              view.ops.randomScores(view.slots, view.rows, slotsAfterContext(view.rows)),
              10,
            );
            return keepAction(
              view,
              view.ops.topK(nudge, boundaryCounts(view.rows), {
                scope: 'kvHead',
                sinks: 0,
                recents: slotsAfterContext(view.rows),
              }),
            );
          }),
      },
    }),
  },
];
