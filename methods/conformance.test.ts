/** The suite must fail on methods that break their promises: one mutant for each kind of fault. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { z } from 'zod';
import { boundaryCounts, slotsAfterContext } from './budget.js';
import { knorm } from './cache/knorm.js';
import { snapkv } from './cache/snapkv.js';
import { checks, factsOf } from './conformance.js';
import { openBenches } from './conformance-models.js';
import { type ConformanceOptions, subjectOf } from './conformance-subject.js';
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

interface Mutant {
  readonly property: Property;
  readonly fault: string;
  readonly method: Method;
  readonly options?: ConformanceOptions;
}

const mutants: readonly Mutant[] = [
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

const benches = await openBenches();
after(async () => {
  if ('close' in benches) await benches.close();
});

for (const { property, fault, method, options } of mutants) {
  test(`${property} fails on a method that ${fault}`, async (t) => {
    if ('missing' in benches) return t.skip(benches.missing);
    const facts = { ...factsOf(subjectOf(method, options ?? {})), benches: benches.open };
    const own = checks.filter((check) => check.property === property && check.exempt?.(facts) === undefined);
    assert.ok(own.length > 0, `${property} does not apply`);
    await assert.rejects(async () => {
      for (const check of own) await check.run(facts);
    });
  });
}

test('every property that the contract promises today has a check', () => {
  const promised = ['T1', 'T2', 'T3', 'T4', 'T5', 'T6', 'T7', 'T8', 'T9', 'T10'];
  for (const [from, to] of [
    [1, 10],
    [13, 23],
    [25, 25],
    [28, 28],
    [34, 34],
  ] as const) {
    for (let i = from; i <= to; i++) promised.push(`C${i}`);
  }
  const known = new Set<string>(checks.map(({ property }) => property));
  assert.deepEqual(
    promised.filter((property) => !known.has(property)),
    [],
  );
});
