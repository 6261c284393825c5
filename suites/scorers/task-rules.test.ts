/** Rules of single tasks that the published outputs do not reach. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scorerById, scoreSample } from './index.js';

const score = (
  id: string,
  prediction: string,
  references: string[],
  more: { readonly question?: string; readonly classes?: string[] } = {},
): number => scorerById(id).score(prediction, { references, question: '', meta: {}, ...more });

test('LongBench classes: those named share the point, parts of the right name do not count', () => {
  const classes = ['Food', 'Number', 'Other number', 'Date'];
  assert.equal(score('longbench/trec', 'Date', ['Date'], { classes }), 1);
  assert.equal(score('longbench/trec', 'Date or Food', ['Date'], { classes }), 0.5);
  assert.equal(score('longbench/trec', 'Food', ['Date'], { classes }), 0);
  const parts = ['ab', 'a', 'b', 'abc'];
  assert.equal(score('longbench/trec', 'abc', ['abc'], { classes: parts }), 1);
  // Upstream skips the name after each one that it removes: `a` stays beside `abc`.
  assert.equal(score('longbench/trec@upstream', 'abc', ['abc'], { classes: parts }), 0.5);
  assert.equal(score('longbench/trec', '\n\nDate\nFood', ['Date'], { classes }), 1);
});

test('LongBench numbers: the share that is right', () => {
  assert.equal(score('longbench/passage_count', '7, or 8, or 7', ['7']), 2 / 3);
  assert.equal(score('longbench/passage_count', 'seven', ['7']), 0);
  assert.equal(score('longbench/passage_retrieval_en', 'Paragraph 12', ['Paragraph 12']), 1);
});

test('LongBench code: the first line that is neither a comment nor a fence', () => {
  assert.equal(score('longbench/lcc', '\n# a\n```\nreturn x\nreturn y', ['return x']), 1);
  assert.equal(score('longbench/lcc', '# only\n// comments', ['return x']), 0);
});

test('LongBench v2: the letter of the phrase, brackets and asterisks aside', () => {
  assert.equal(score('longbench-v2', '**The correct answer is (B)**', ['B']), 1);
  assert.equal(score('longbench-v2', 'The correct answer is B', ['B']), 1);
  assert.equal(score('longbench-v2', 'The correct answer is C, not (B)', ['B']), 0);
  assert.equal(score('longbench-v2', 'B', ['B']), 0);
});

test('InfiniteBench choices: first letter, phrase, first letter word', () => {
  const references = ['Walking Georgie', 'A'];
  assert.equal(score('infinitebench/longbook_choice_eng', 'A. Walking', references), 1);
  assert.equal(score('infinitebench/longbook_choice_eng', 'B', references), 0);
  assert.equal(score('infinitebench/longbook_choice_eng', 'I say the answer is Walking Georgie', references), 1);
  assert.equal(score('infinitebench/longbook_choice_eng', 'The answer is: B', references), 0);
  assert.equal(score('infinitebench/longbook_choice_eng', 'my answer is:', references), 0);
  assert.equal(score('infinitebench/longbook_choice_eng', 'surely option A here', references), 1);
  assert.equal(score('infinitebench/longbook_choice_eng', '', references), 0);
});

test('InfiniteBench math.calc: values before the first wrong one', () => {
  assert.equal(score('infinitebench/math_calc', '[1, 2, 4]', ['1', '2', '3', '4']), 0.5);
  assert.equal(score('infinitebench/math_calc', '', ['1', '2']), 0);
});

test('InfiniteBench in Chinese counts characters', () => {
  assert.equal(score('infinitebench/longbook_qa_chn', '「红 楼梦」', ['红楼梦。']), 1);
  assert.equal(score('infinitebench/longbook_qa_chn', '红', ['红楼梦']), 0.5);
});

test('BABILong: one label alone, labels of the question aside, lists whole', () => {
  assert.equal(score('babilong/qa1', 'In the Kitchen. Or the office', ['kitchen']), 1);
  assert.equal(score('babilong/qa1', 'kitchen or office', ['kitchen']), 0);
  assert.equal(
    score('babilong/qa3', 'before the kitchen it was in the office', ['office'], { question: 'Before the kitchen?' }),
    1,
  );
  assert.equal(score('babilong/qa8', 'milk and apple', ['apple,milk']), 1);
  assert.equal(score('babilong/qa8', 'milk', ['apple,milk']), 0);
  assert.equal(score('babilong/qa19', 'n,w', ['n,w']), 1);
});

test('MultiHop-RAG: equal, where upstream takes any word in common', () => {
  assert.equal(score('multihop-rag', 'the Verge', ['The Verge']), 1);
  assert.equal(score('multihop-rag', 'the Guardian', ['The Verge']), 0);
  assert.equal(score('multihop-rag@upstream', 'the Guardian', ['The Verge']), 1);
});

test('Lost in the Middle: documents by the first line, values by part', () => {
  assert.equal(score('lost-in-the-middle/qa', 'The answer: Oslo!\nBergen', ['oslo']), 1);
  assert.equal(score('lost-in-the-middle/qa', 'It is\nOslo', ['oslo']), 0);
  assert.equal(score('lost-in-the-middle/kv', '"A1-b2"', ['a1-B2']), 1);
});

test('given text scores by its probability whatever the task names, unless it names another of continuation/…', () => {
  const sample = { references: ['x'], question: '', meta: {} };
  const given = { tokens: 4, logProbability: -4 * Math.LN2, greedyTokens: 3 };
  assert.ok(Math.abs(scoreSample('exact-match', sample, 'x', given) - 0.5) < 1e-12);
  assert.ok(Math.abs(scoreSample('continuation/probability', sample, 'x', given) - 0.5) < 1e-12);
  assert.equal(scoreSample('continuation/greedy', sample, 'x', given), 0.75);
  assert.equal(scoreSample('exact-match', sample, 'x', undefined), 1);
  assert.throws(() => scoreSample('continuation/greedy', sample, 'x', undefined), { code: 'ERR_USAGE' });
});
