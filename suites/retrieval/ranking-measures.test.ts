import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { rankingMeasures } from './ranking-measures.js';

const close = (actual: number, expected: number): void => assert.ok(Math.abs(actual - expected) < 1e-9, `${actual}`);

/** Values of trec_eval (pytrec_eval-terrier 0.5.6): ndcg_cut_10, recall_1, recall_5, recall_10, recip_rank. */
const recorded: readonly (readonly [ranked: number[], lacking: number[], ...values: number[]])[] = [
  [[0, 1, 0, 1, 0], [1], 0.49818925746641285, 0, 2 / 3, 2 / 3, 0.5],
  [[1, 2], [], 0.8597186998521972, 0.5, 1, 1, 1],
  [[0, 3, 0, 0, 1, 2, 0, 0, 0, 0, 0, 1], [2, 1], 0.46492297131060906, 0, 1 / 3, 0.5, 0.5],
  [[2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3], [], 0.5104469282277887, 1 / 3, 2 / 3, 2 / 3, 1],
];

test('rankings measure as trec_eval measures them', () => {
  for (const [ranked, lacking, ...values] of recorded) {
    const measures = rankingMeasures(ranked, lacking)!;
    const { ndcgAt10, recallAt1, recallAt5, recallAt10, reciprocalRankAt10 } = measures;
    for (const [i, value] of [ndcgAt10, recallAt1, recallAt5, recallAt10, reciprocalRankAt10].entries())
      close(value, values[i]!);
    assert.equal(measures.hitAt10, 1);
    assert.equal(measures.allAt10, recallAt10 === 1 ? 1 : 0);
  }
});

test('what stands below rank 10 is not found', () => {
  const measures = rankingMeasures([...Array<number>(10).fill(0), 1])!;
  for (const value of Object.values(measures)) assert.equal(value, 0);
});

test('with more than ten relevant, only the capped recall reaches 1', () => {
  const measures = rankingMeasures(Array<number>(20).fill(1))!;
  assert.equal(measures.recallAt10, 0.5);
  assert.equal(measures.cappedRecallAt10, 1);
  assert.equal(measures.ndcgAt10, 1);
});

test('where nothing is relevant there is no measure', () => {
  assert.equal(rankingMeasures([0, 0]), undefined);
  assert.equal(rankingMeasures([]), undefined);
});

test('all measures lie in 0 to 1, and swapping a relevant item up never lowers nDCG', () => {
  const grades = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 2, maxLength: 30 });
  fc.assert(
    fc.property(grades, fc.nat(), (ranked, at) => {
      const before = rankingMeasures(ranked);
      if (before === undefined) return;
      for (const value of Object.values(before)) assert.ok(value >= 0 && value <= 1 + 1e-12);
      const i = at % (ranked.length - 1);
      if (ranked[i + 1]! <= ranked[i]!) return;
      const swapped = ranked.with(i, ranked[i + 1]!).with(i + 1, ranked[i]!);
      assert.ok(rankingMeasures(swapped)!.ndcgAt10 >= before.ndcgAt10 - 1e-12);
    }),
  );
});
