/**
 * The promises of the method contract, checked for any adapter: T1–T10 of the reference tests and C1–C34 of the contract.
 *
 * A property that does not apply to a method, or that its declaration waives, is skipped with the reason printed.
 */
import { after, suite, test } from 'node:test';
import { amountChecks, fullBudgetChecks } from './conformance-amounts.js';
import type { Check, CheckFacts } from './conformance-check.js';
import { choiceChecks } from './conformance-choice.js';
import { contractChecks } from './conformance-contract.js';
import { keptChecks } from './conformance-kept.js';
import { openBenches } from './conformance-models.js';
import { orderChecks } from './conformance-order.js';
import { promptChecks } from './conformance-prompt.js';
import { rowChecks } from './conformance-rows.js';
import { type ConformanceOptions, describeSubject, type Subject, subjectOf } from './conformance-subject.js';
import { tierChecks } from './conformance-tier.js';
import type { Method } from './contract.js';
import { layerShape, modelFacts } from './naive-views.js';

export type { ConformanceOptions } from './conformance-subject.js';

export const checks: readonly Check[] = [
  ...fullBudgetChecks,
  ...choiceChecks,
  ...contractChecks,
  ...keptChecks,
  ...rowChecks,
  ...orderChecks,
  ...amountChecks,
  ...tierChecks,
  ...promptChecks,
];

/** Every promise as a test; each method's own test file calls it once. */
export const conforms = (method: Method, options: ConformanceOptions = {}): void => {
  const facts = factsOf(subjectOf(method, options));
  suite(`${method.id} keeps the method contract`, () => {
    let benches: ReturnType<typeof openBenches> | undefined;
    after(async () => {
      const found = await benches;
      if (found !== undefined && 'close' in found) await found.close();
    });
    for (const check of checks) {
      const name = `${check.property}: ${check.title}`;
      const reason = options.leftOut?.[check.property] ?? whySkipped(check, facts);
      if (reason !== undefined) {
        test(name, { skip: reason }, () => {});
        continue;
      }
      test(name, async (t) => {
        if (check.withoutEngine === true) return check.run(facts);
        benches ??= openBenches(options.backend);
        const found = await benches;
        if ('missing' in found) return t.skip(found.missing);
        return check.run({ ...facts, benches: found.open });
      });
    }
  });
};

/** What the checks need to know before there is an engine. */
export const factsOf = (subject: Subject): CheckFacts => ({
  subject,
  ...describeSubject(subject, modelFacts([layerShape(), layerShape()])),
  benches: [],
});

const whySkipped = (check: Check, facts: CheckFacts): string | undefined => {
  const waived = facts.declared.waives[check.property];
  return waived === undefined ? check.exempt?.(facts) : `waived: ${waived}`;
};
