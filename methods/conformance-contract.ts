/** Checks on what an adapter says and on the form of what it returns. */
import assert from 'node:assert/strict';
import { composeMethods } from './compose.js';
import type { BenchRequest, ConformanceBench } from './conformance-bench.js';
import { actsOnText, type Check, type CheckFacts, first } from './conformance-check.js';
import { evicts, selects } from './conformance-choice.js';
import {
  fingerprint,
  protocols,
  QUESTION_TOKENS,
  requestFor,
  runOne,
  settingFor,
  tokenIds,
} from './conformance-subject.js';
import { recordViews, redeclare, watchHooks } from './conformance-watch.js';
import type { AttentionPlan, CachePlan, CacheView, Method, Need, Ragged, SlotsView, StepView } from './contract.js';
import { oracleTopK } from './control/oracle-top-k.js';
import { budgetOf, keptByMethod, layerShape, modelFacts, type PlantedSample } from './naive-views.js';
import { parseParams } from './params.js';

export const contractChecks: readonly Check[] = [
  {
    property: 'C3',
    title: 'declare is pure, and parameters with unknown keys or a budget are refused',
    withoutEngine: true,
    run: ({ subject: { method, params, contextTokens } }) => {
      const model = modelFacts([layerShape(), layerShape()]);
      const budget = budgetOf(contextTokens / 2, contextTokens, method.covers ?? 'context');
      const setting = deepFreeze({ params: structuredClone(params), budget, protocol: 'query-aware' as const });
      const frozen = deepFreeze(model);
      assert.deepEqual(method.declare(setting, frozen), method.declare(setting, frozen));
      method.hooks(setting, frozen);
      for (const key of ['keptFraction', 'tokenBudget', 'budget', 'noSuchParameter']) {
        assert.throws(() => parseParams(method, { ...params, [key]: 1 }), {
          code: 'ERR_PARAM',
          message: new RegExp(key),
        });
      }
    },
  },
  {
    property: 'C4',
    title: 'needs are honest: an undeclared view throws, and every declared view is looked at',
    exempt: (facts) =>
      first(
        actsOnText(facts),
        facts.declared.needs.length + Object.keys(facts.declared.state).length === 0
          ? 'declares no needs and no state'
          : undefined,
      ),
    run: async (facts) => {
      const { subject, declared } = facts;
      for (const bench of facts.benches) {
        const seen = new Set<string>();
        for (const protocol of protocols) {
          const settings = [{ ...settingFor(subject), method: recordViews(subject.method, seen) }];
          await runOne(bench, requestFor(subject, { protocol, settings }));
        }
        for (const need of declared.needs)
          assert.ok(seen.has(needName(need)), `${needName(need)} is declared and never read`);
        for (const name of Object.keys(declared.state))
          assert.ok(seen.has(`state:${name}`), `state ${name} is declared and never read`);
        const silent = [
          ...(declared.needs.length === 0 ? [] : [redeclare(subject.method, () => ({ needs: [] }))]),
          ...(Object.keys(declared.state).length === 0 ? [] : [redeclare(subject.method, () => ({ state: {} }))]),
        ];
        for (const method of silent) {
          const [row] = await bench.run(requestFor(subject, { settings: [{ ...settingFor(subject), method }] }));
          assert.notEqual(row!.status, 'ok', 'a view that was not declared can be read');
        }
      }
    },
  },
  {
    property: 'C21',
    title: 'plans are well formed: ascending, unique, in range, nothing beyond the list',
    exempt: (facts) => first(actsOnText(facts), evicts(facts) || selects(facts) ? undefined : 'returns no lists'),
    run: async (facts) => {
      for (const bench of facts.benches) {
        for (const protocol of protocols) {
          let lists = 0;
          const method = inspectPlans(facts.subject.method, (list, slots, page) => {
            lists += checkList(bench, list, slots, page);
          });
          const settings = [0.5, 0.75].map((share) => ({ ...settingFor(facts.subject, share, `${share}`), method }));
          await bench.run(requestFor(facts.subject, { protocol, settings }));
          assert.ok(lists > 0, 'no list was seen');
        }
      }
    },
  },
  {
    property: 'C22',
    title: 'degenerate sizes give a result or a refusal, never a crash',
    exempt: actsOnText,
    run: async (facts) => {
      const window = windowOf(facts.declared.needs);
      for (const bench of facts.benches) {
        for (const protocol of protocols) {
          for (const n of new Set([1, 2, window - 1, window, window + 1, 17])) {
            if (n < 1) continue;
            for (const tokens of new Set([1, Math.max(1, window), n])) {
              const { method, params } = facts.subject;
              const settings = [
                {
                  key: `${n}/${tokens}`,
                  method,
                  params,
                  ...(method.budgetAxis === 'none' ? {} : { tokenBudget: tokens }),
                },
              ];
              const questionIds = tokenIds(2, n === 17 ? 1 : QUESTION_TOKENS);
              const request: BenchRequest = {
                ...requestFor(facts.subject),
                contextIds: tokenIds(3, n),
                questionIds,
                settings,
                protocol,
                evidence: [{ start: 0, end: 1 }],
              };
              const [row] = await bench.run(request);
              assert.ok(
                row!.status === 'ok' || row!.status === 'unsupported',
                row!.status === 'failed' ? `${row!.key}: ${row!.error.message}` : '',
              );
            }
          }
        }
      }
    },
  },
  {
    property: 'C25',
    title: 'survivors are untouched: keys and values of kept slots are bit for bit what they were',
    exempt: (facts) =>
      first(
        actsOnText(facts),
        evicts(facts) ? undefined : 'evicts nothing',
        packs(facts) ? 'packs survivors: they may change within its error' : undefined,
      ),
    run: async (facts) => {
      for (const bench of facts.benches) {
        const row = await runOne(bench, requestFor(facts.subject, { capture: true }));
        row.kept.forEach((heads, layer) => {
          const { headDim, headDimV } = bench.facts.layers[layer]!;
          const longest = Math.max(...heads.map((slots) => slots.length));
          for (const [name, width] of [
            ['keys', headDim],
            ['values', headDimV],
          ] as const) {
            const before = row.captured![layer]![name];
            const after = row.capturedAfter![layer]![name];
            const total = before.length / heads.length / width;
            heads.forEach((slots, head) => {
              slots.forEach((position, at) => {
                const old = before.subarray((head * total + position) * width, (head * total + position + 1) * width);
                const now = after.subarray((head * longest + at) * width, (head * longest + at + 1) * width);
                assert.deepEqual(now, old, `layer ${layer}, head ${head}, position ${position}, ${name}`);
              });
            });
          }
        });
      }
    },
  },
  {
    property: 'T10',
    title: 'the engine keeps what plain arrays keep',
    exempt: (facts) =>
      first(
        actsOnText(facts),
        evicts(facts) ? undefined : 'evicts nothing; what a selector reads is compared in its own test',
        facts.subject.randomised,
      ),
    run: async (facts) => {
      const { method, params, contextTokens } = facts.subject;
      for (const bench of facts.benches) {
        const row = await runOne(bench, requestFor(facts.subject, { capture: true }));
        const length = contextTokens + QUESTION_TOKENS;
        const sample: PlantedSample = {
          shapes: bench.facts.layers,
          contextLength: contextTokens,
          sampleSeed: 5,
          evidence: [{ start: 10, end: 14 }],
          keys: row.captured!.map(({ keys }, layer) =>
            slotVectors(keys, bench.facts.layers[layer]!.numKvHeads, length),
          ),
          values: row.captured!.map(({ values }, layer) =>
            slotVectors(values, bench.facts.layers[layer]!.numKvHeads, length),
          ),
          queries: row.captured!.map(({ windowQueries }) =>
            lastQueries(windowQueries, length, windowOf(facts.declared.needs)),
          ),
        };
        const budget = budgetOf(Math.floor(contextTokens / 2), contextTokens, method.covers ?? 'context');
        const [expected] = await keptByMethod(method, params, sample, [budget]);
        assert.deepEqual(
          row.kept.map((heads) => heads.map((slots) => Array.from(slots))),
          expected,
        );
      }
    },
  },
  {
    property: 'C28',
    title: 'a selector that reads everything adds nothing to an evictor',
    exempt: (facts) =>
      first(
        actsOnText(facts),
        evicts(facts) ? undefined : 'is no evictor',
        facts.subject.method.family === 'composition'
          ? 'is a composition itself; compose.test.ts holds its identities'
          : undefined,
      ),
    run: async (facts) => {
      const { method, params } = facts.subject;
      const composed = composeMethods([{ method, params: params as Record<string, unknown> }, { method: oracleTopK }]);
      for (const bench of facts.benches) {
        const setting = {
          ...settingFor(facts.subject),
          method: composed,
          params: parseParams(composed, { fractions: { 'oracle-top-k': 1 } }),
        };
        const [alone, joined] = [
          await runOne(bench, requestFor(facts.subject)),
          await runOne(bench, requestFor(facts.subject, { settings: [setting] })),
        ];
        assert.deepEqual(fingerprint(joined), fingerprint(alone));
      }
    },
  },
  ...(
    [
      ['T3', 'merged copies give the exact output', 'merges no tokens'],
      [
        'T4',
        'attention over parts, merged, is attention over the whole',
        'attends to one set at a time; merging is a property of the kernel',
      ],
    ] as const
  ).map(([property, title, reason]): Check => ({ property, title, exempt: () => reason, run: () => {} })),
  {
    property: 'T5',
    title: 'keys rotated and rotated back are what they were',
    withoutEngine: true,
    exempt: ({ declared }) => (declared.layout.positions === 'keep' ? 'keys keep their positions' : undefined),
    run: () => assert.fail('positions other than keep have no check yet'),
  },
];

const deepFreeze = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
};

const needName = (need: Need): string => ('view' in need ? need.view : need.auxiliary);

const windowOf = (needs: readonly Need[]): number => {
  const need = needs.find((known) => 'view' in known && known.view === 'windowQueries');
  return need !== undefined && 'last' in need && need.last !== 'question' ? need.last : 6;
};

const packs = ({ subject: { method } }: CheckFacts): boolean =>
  method.family === 'quantisation' || method.id.includes('kivi');

const split = <A extends Float32Array>(values: A, parts: number): Float32Array[] => {
  const size = values.length / parts;
  return Array.from({ length: parts }, (_, i) => values.subarray(i * size, (i + 1) * size));
};

/** [head][slot][channel]. */
const slotVectors = (plane: Float32Array, heads: number, length: number): number[][][] =>
  split(plane, heads).map((head) => split(head, length).map((vector) => Array.from(vector)));

/** Only the window's queries were kept; the others are not looked at. */
const lastQueries = (window: Float32Array | undefined, length: number, last: number): number[][] => {
  const known = window === undefined ? [] : split(window, last).map((query) => Array.from(query));
  return [
    ...Array.from({ length: length - known.length }, () => new Array<number>(known[0]?.length ?? 0).fill(0)),
    ...known,
  ];
};

type OnList = (list: Ragged, slots: SlotsView, page: number) => void;

const inspectPlans = (method: Method, onList: OnList): Method =>
  watchHooks(method, (place, args, call) => {
    const result = call(args);
    if (place === 'decode.select') inspectAttention(result as AttentionPlan, (args[0] as StepView).slots, onList);
    if (place !== 'cache.finishPrefill' && place !== 'cache.maintain') return result;
    const inspect = (plan: CachePlan): CachePlan => {
      inspectCache(plan, args[0] as readonly CacheView[], onList);
      return plan;
    };
    return result instanceof Promise ? result.then(inspect) : inspect(result as CachePlan);
  });

const inspectAttention = ({ parts }: AttentionPlan, slots: SlotsView, onList: OnList): void => {
  for (const { keys } of parts) {
    if (keys.kind === 'tokens') onList(keys.indices, slots, 1);
    if (keys.kind === 'blocks') onList(keys.lists, slots, keys.keyBlock);
  }
};

const inspectCache = (plan: CachePlan, views: readonly CacheView[], onList: OnList): void => {
  for (const { layer, actions } of plan) {
    for (const action of actions) if (action.kind === 'keep') onList(action.slots, views[layer]!.slots, 1);
  }
};

/** Number of entries seen. */
const checkList = (bench: ConformanceBench, list: Ragged, slots: SlotsView, page: number): number => {
  const [rows = 0, lists = 0, width = 0] = list.values.shape;
  const values = bench.peek(list.values);
  const lens = bench.peek(list.lens);
  assert.equal(width, list.maxLen);
  let entries = 0;
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < lists; at++) {
      const length = lens[row * lists + at]!;
      assert.ok(length >= -1 && length <= list.maxLen, `a list of ${length} in ${list.maxLen}`);
      const head = lists === slots.numKvHeads ? at : 0;
      const held = slots.lens[(slots.rows === 1 ? 0 : row) * slots.numKvHeads + head]!;
      let last = -1;
      for (let i = 0; i < length; i++) {
        const entry = values[(row * lists + at) * width + i]!;
        assert.ok(entry > last, `entry ${entry} behind ${last}`);
        assert.ok(entry * page < held, `entry ${entry} of pages of ${page} over ${held} slots`);
        last = entry;
        entries++;
      }
    }
  }
  return entries;
};
