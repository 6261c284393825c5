/** The suite must fail on methods that break their promises: one mutant for each kind of fault. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { checks, factsOf } from './conformance.js';
import { openBenches } from './conformance-models.js';
import { mutants } from './conformance-mutants.js';
import { subjectOf } from './conformance-subject.js';

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
    [1, 28],
    [30, 30],
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
