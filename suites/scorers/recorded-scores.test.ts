/** The text metrics against what the published packages say (scripts/record-scorers.py). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { scorerById } from './index.js';
import { rougeUnionF1 } from './rouge-union.js';
import { fuzzPercent } from './sequence-matcher.js';

interface Recorded {
  readonly prediction: string;
  readonly reference: string;
  readonly rouge: Readonly<Record<'rouge1' | 'rouge2' | 'rougeL' | 'rougeLsum', number>>;
  readonly rougeUnion: number;
  readonly fuzz: number;
}

const cases = JSON.parse(readFileSync(new URL('recorded-scores.json', import.meta.url), 'utf8')) as Recorded[];

const near = (actual: number, expected: number, what: string): void =>
  assert.ok(Math.abs(actual - expected) < 1e-12, `${what}: ${actual} instead of ${expected}`);

test('ROUGE of rouge_score, without a stemmer', () => {
  for (const { prediction, reference, rouge } of cases) {
    const score = (id: string): number =>
      scorerById(`rouge/${id}`).score(prediction, { references: [reference], question: '', meta: {} });
    near(score('1'), rouge.rouge1, `rouge-1 of ${prediction}`);
    near(score('2'), rouge.rouge2, `rouge-2 of ${prediction}`);
    near(score('l'), rouge.rougeL, `rouge-l of ${prediction}`);
    near(score('lsum'), rouge.rougeLsum, `rouge-lsum of ${prediction}`);
  }
});

test('ROUGE-L of the package that LongBench uses', () => {
  for (const { prediction, reference, rougeUnion } of cases)
    near(rougeUnionF1(prediction, reference), rougeUnion, `rouge-l of ${prediction} and ${reference}`);
});

test('similarity in percent of fuzzywuzzy over difflib, the rule for long strings included', () => {
  assert.ok(cases.some(({ reference }) => [...reference].length >= 200));
  for (const { prediction, reference, fuzz } of cases)
    assert.equal(fuzzPercent(prediction, reference), fuzz, `${prediction} and ${reference}`);
});

test('the recorded cases tell the metrics apart', () => {
  for (const pick of [
    (one: Recorded) => one.rouge.rouge1,
    (one: Recorded) => one.rouge.rougeLsum,
    (one: Recorded) => one.rougeUnion,
    (one: Recorded) => one.fuzz / 100,
  ]) {
    const scores = cases.map(pick);
    assert.ok(scores.filter((score) => score > 0 && score < 1).length > 30);
    assert.ok(scores.some((score) => score === 0));
  }
  assert.ok(cases.some(({ rouge }) => rouge.rougeL !== rouge.rougeLsum));
});
