/**
 * The promises of the method contract, checked for any adapter: T1–T10 of the reference tests and C1–C34 of the contract.
 *
 * A property that does not apply to a method, or that its declaration waives, is skipped with the reason printed.
 */
import { suite, test } from 'node:test';
import { amountChecks, fullBudgetChecks } from './conformance-amounts.js';
import type { ConformanceBench } from './conformance-bench.js';
import type { Check, CheckFacts } from './conformance-check.js';
import { choiceChecks } from './conformance-choice.js';
import { contractChecks } from './conformance-contract.js';
import { rowChecks } from './conformance-rows.js';
import { type ConformanceOptions, describeSubject, subjectOf } from './conformance-subject.js';
import type { Method } from './contract.js';
import { layerShape, modelFacts } from './naive-views.js';

export type { ConformanceOptions } from './conformance-subject.js';

/** Small models with grouped and with plain heads, or why there are none. */
export type Benches = { readonly open: readonly ConformanceBench[] } | { readonly missing: string };

export const checks: readonly Check[] = [
  ...fullBudgetChecks,
  ...choiceChecks,
  ...contractChecks,
  ...rowChecks,
  ...amountChecks,
];

/** Checks that need no engine. */
const withoutEngine: ReadonlySet<Check> = new Set([
  ...choiceChecks,
  ...contractChecks.filter(({ property }) => ['C3', 'T3', 'T4', 'T5'].includes(property)),
]);

/** Every promise as a test. Call it once in the method's test file. */
export const conforms = (method: Method, options: ConformanceOptions, benches: () => Promise<Benches>): void => {
  const subject = subjectOf(method, options);
  const model = modelFacts([layerShape(), layerShape()]);
  const facts: CheckFacts = { subject, ...describeSubject(subject, model), benches: [] };
  suite(`${method.id} keeps the method contract`, () => {
    for (const check of checks) {
      const name = `${check.property}: ${check.title}`;
      const waived = facts.declared.waives[check.property];
      const reason = waived === undefined ? check.exempt?.(facts) : `waived: ${waived}`;
      if (reason !== undefined) test(name, { skip: reason }, () => {});
      else test(name, (t) => runCheck(check, facts, benches, (why) => t.skip(why)));
    }
  });
};

const runCheck = async (
  check: Check,
  facts: CheckFacts,
  benches: () => Promise<Benches>,
  skip: (why: string) => void,
): Promise<void> => {
  if (withoutEngine.has(check)) return check.run(facts);
  const found = await benches();
  if ('missing' in found) return skip(found.missing);
  return check.run({ ...facts, benches: found.open });
};
