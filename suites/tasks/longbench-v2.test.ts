import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { missingData, publishedLines } from '../../datasets/published-data.js';
import { scorerById } from '../scorers/index.js';
import { ownFolder, samplesFrom } from './own-dataset-file.js';

const record = (more: object = {}) => ({
  _id: 'x',
  domain: 'Single-Document QA',
  sub_domain: 'Financial',
  difficulty: 'easy',
  length: 'short',
  question: ' Why? ',
  choice_A: 'one',
  choice_B: ' two',
  choice_C: 'three',
  choice_D: 'four',
  answer: 'B',
  context: '  The text.  ',
  ...more,
});
const made = (records: object[], order = {}) =>
  samplesFrom('longbench_v2', path.join(ownFolder({ 'data.json': records }), 'data.json'), order);

test('a question with its text, and without it', () => {
  const [sample] = made([record()]);
  assert.equal(
    sample!.context + sample!.question,
    'Please read the following text and answer the question below.\n\n<text>\nThe text.\n</text>\n\nWhat is the correct answer to this question: Why?\nChoices:\n(A) one\n(B) two\n(C) three\n(D) four\n\nFormat your response as follows: "The correct answer is (insert answer here)".',
  );
  const [bare] = made([record()], { params: { context: false } });
  assert.doesNotMatch(bare!.context + bare!.question, /text/);
  assert.match(bare!.context + bare!.question, /\(D\) four\n\nWhat is the single, most likely answer choice\? Format/);
  assert.equal(scorerById('longbench-v2').score('**The correct answer is (B)**', sample!), 1);
});

test('classes of length and difficulty choose records, which keep their order', () => {
  const records = [
    record({ _id: 'a', length: 'long' }),
    record({ _id: 'b', difficulty: 'hard' }),
    record({ _id: 'c' }),
    record({ _id: 'd', length: 'medium', difficulty: 'hard' }),
  ];
  const ids = (params: object) => made(records, { params }).map(({ meta }) => meta.id);
  assert.deepEqual(ids({}), ['a', 'b', 'c', 'd']);
  assert.deepEqual(ids({ lengths: ['short', 'medium'] }), ['b', 'c', 'd']);
  assert.deepEqual(ids({ lengths: ['short', 'medium'], difficulties: ['hard'] }), ['b', 'd']);
  assert.throws(() => made([record()], { params: { lengths: ['long'] } }), {
    code: 'ERR_DATASET_FORMAT',
    message: /expected records for longbench_v2, got "none"\. Widen/,
  });
});

test('a record that is not one is an error that names file, line and field', () => {
  assert.throws(() => made([record(), record({ answer: 'E' })]), {
    code: 'ERR_DATASET_FORMAT',
    message: /data\.json:\d+ answer: expected one of A, B, C, D, got "E"/,
  });
});

const file = 'longbench_v2/short-40.jsonl.gz';
test('the published questions: texts of any length fit', { skip: missingData(file) ?? false }, () => {
  const from = fileURLToPath(new URL(`../../../shared/data/${file}`, import.meta.url));
  const samples = samplesFrom('longbench_v2', from, { length: 4096 });
  assert.equal(samples.length, 40);
  const records = publishedLines(file);
  for (const [i, { context, question, references, meta }] of samples.entries()) {
    assert.ok(Number(meta.truncatedTokens) > 0, String(meta.record));
    assert.ok(context.length > 2000);
    assert.ok(question.includes(`(C) ${(records[i]!.choice_C as string).trim()}`));
    assert.deepEqual(references, [records[i]!.answer]);
  }
});
