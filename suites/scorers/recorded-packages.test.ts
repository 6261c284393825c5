/** Stems, stemmed ROUGE and HELMET's rules against what the packages and HELMET's own functions say (scripts/record-scorers.py). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { scorerById } from './index.js';
import { porterStem } from './porter-stemmer.js';

const recorded = (name: string): unknown => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));

const score = (id: string, prediction: string, references: readonly string[]): number =>
  scorerById(id).score(prediction, { references, question: '', meta: {} });

test("stems of NLTK's Porter stemmer", () => {
  const stems = Object.entries(recorded('recorded-stems.json') as Record<string, string>);
  assert.ok(stems.length > 500);
  for (const [word, stem] of stems) assert.equal(porterStem(word), stem, word);
});

test('ROUGE of rouge_score with its stemmer', () => {
  const cases = recorded('recorded-stemmed.json') as [string, string, number, number, number, number][];
  for (const [prediction, reference, ...expected] of cases) {
    for (const [i, id] of ['1', '2', 'l', 'lsum'].entries()) {
      const actual = score(`rouge/${id}-stemmed`, prediction, [reference]);
      assert.ok(Math.abs(actual - expected[i]!) < 1e-12, `rouge/${id}-stemmed of ${prediction}: ${actual}`);
    }
  }
  assert.ok(
    cases.some(
      ([prediction, reference]) =>
        score('rouge/l', prediction, [reference]) !== score('rouge/l-stemmed', prediction, [reference]),
    ),
  );
});

test("HELMET's rules", () => {
  const cases = recorded('recorded-helmet.json') as [string, string, string[], number][];
  const seen = new Map<string, number[]>();
  for (const [scorer, output, references, expected] of cases) {
    const actual = score(`helmet/${scorer}`, output, references);
    // Upstream rounds ranking metrics to five decimals.
    const tolerance = scorer === 'rerank' ? 5.1e-6 : 1e-12;
    assert.ok(
      Math.abs(actual - expected) < tolerance,
      `${scorer} of ${JSON.stringify(output)}: ${actual}, not ${expected}`,
    );
    seen.set(scorer, [...(seen.get(scorer) ?? []), expected]);
  }
  for (const [scorer, scores] of seen) assert.ok(new Set(scores).size > 1, `${scorer} always scores ${scores[0]}`);
});
