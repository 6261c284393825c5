/** Checks on what an adapter says and on the form of what it returns. */
import assert from 'node:assert/strict';
import { composeMethods } from './compose.js';
import type { BenchRequest } from './conformance-bench.js';
import { actsOnText, type Check, first } from './conformance-check.js';
import { evicts, selects } from './conformance-choice.js';
import { checkList, inspectPlans } from './conformance-plans.js';
import {
  fingerprint,
  protocols,
  QUESTION_TOKENS,
  requestFor,
  runOne,
  settingFor,
  tokenIds,
  windowOf,
} from './conformance-subject.js';
import { recordViews, redeclare } from './conformance-watch.js';
import type { Declaration, Need } from './contract.js';
import { oracleTopK } from './control/oracle-top-k.js';
import { budgetOf, layerShape, modelFacts } from './naive-views.js';
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
      assert.deepEqual(plain(method.declare(setting, frozen)), plain(method.declare(setting, frozen)));
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
    exempt: ({ declared, hooks }) =>
      first(
        declared.layout.positions === 'keep' ? 'keys keep their positions' : undefined,
        hooks.cache === undefined ? undefined : 'changes the cache; C25 compares the survivors',
      ),
    run: async ({ benches, subject }) => {
      for (const bench of benches) {
        const { hashes } = await runOne(bench, requestFor(subject, { protocol: 'query-agnostic' }));
        assert.equal(
          hashes.compressedCache,
          hashes.prefilled,
          'keys are turned in the cache instead of when they are read',
        );
      }
    },
  },
];

const deepFreeze = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
};

const needName = (need: Need): string =>
  'auxiliary' in need ? need.auxiliary : need.view === 'tokens' ? 'tokenIds' : need.view;

/** A declaration whose functions are replaced by what they say. */
const plain = (declared: Declaration): object => ({
  ...declared,
  state: Object.entries(declared.state).map(([name, field]) => [
    name,
    field.per === 'pool' ? { ...field, maxRows: field.maxRows(1_000) } : field,
  ]),
});
