/** Checks on the second cache tier. */
import assert from 'node:assert/strict';
import { actsOnText, type Check, type CheckFacts, first } from './conformance-check.js';
import { assertSameLogits, requestFor, runOne, settingFor } from './conformance-subject.js';
import { redeclare, watchHooks } from './conformance-watch.js';
import type { CachePlan, Method } from './contract.js';

export const tierChecks: readonly Check[] = [
  {
    property: 'C26',
    title: 'the tier changes nothing but traffic: the same logits, reads and slots as without it',
    exempt: (facts) => first(actsOnText(facts), usesTier(facts) ? undefined : 'uses no second tier'),
    run: async (facts) => {
      for (const bench of facts.benches) {
        const request = requestFor(facts.subject, { maxNewTokens: 20 });
        const tiered = await runOne(bench, request);
        const untiered = withoutMoves(facts.subject.method);
        const plain = await runOne(bench, {
          ...request,
          settings: [settingFor({ ...facts.subject, method: untiered }, 0.5, 'untiered')],
        });
        assertSameLogits(tiered.logits, plain.logits);
        assert.deepEqual(
          tiered.steps.map(({ slotsRead }) => slotsRead),
          plain.steps.map(({ slotsRead }) => slotsRead),
        );
        assert.ok(tiered.kvCacheBytes < plain.kvCacheBytes, 'nothing lies at the tier');
        assert.ok(plain.steps.every(({ kvBytesMoved }) => kvBytesMoved === 0));
        assert.ok(
          tiered.steps.some(({ kvBytesMoved }) => kvBytesMoved > 0),
          'nothing was moved',
        );
      }
    },
  },
];

const usesTier = ({ declared }: CheckFacts): boolean => declared.layout.tier;

/** The same method with every slot on the device. */
const withoutMoves = (method: Method): Method => {
  const drop = (plan: CachePlan): CachePlan =>
    plan.map(({ layer, actions }) => ({ layer, actions: actions.filter(({ kind }) => kind !== 'move') }));
  const unmoved = watchHooks(method, (place, args, call) => {
    const result = call(args);
    if (place !== 'cache.finishPrefill' && place !== 'cache.maintain') return result;
    return result instanceof Promise ? result.then(drop) : drop(result as CachePlan);
  });
  return redeclare(unmoved, ({ layout }) => ({ layout: { ...layout, tier: false } }));
};
