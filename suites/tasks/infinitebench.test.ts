import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { scorerById } from '../scorers/index.js';
import { findTask } from './index.js';
import { ownFolder, samplesFrom } from './own-dataset-file.js';

const noise = 'The grass is green. The sky is blue.\n';
/** Records as upstream's generators and annotators write them. */
const RECORDS: Readonly<Record<string, { record: object; references: string[]; evidence?: string; asked: RegExp }>> = {
  passkey: {
    record: {
      context: `${noise}The pass key is 71432. Remember it. 71432 is the pass key.\n${noise}`,
      input: 'What is the pass key?',
      answer: '71432',
    },
    references: ['71432'],
    evidence: 'The pass key is 71432. Remember it. 71432 is the pass key.',
    asked: /What is the pass key\?\n\n$/,
  },
  kv_retrieval: {
    record: {
      context: 'JSON data:\n{"a-1": "b-2", "c-3": "d-4"}',
      input: '\nKey: "c-3"\nThe value associated with the specified key is: ',
      answer: 'd-4',
    },
    references: ['d-4'],
    evidence: '"c-3": "d-4"',
    asked: /Key: "c-3"/,
  },
  longbook_choice_eng: {
    record: {
      context: 'A book.',
      input: 'Who $1?',
      answer: ['Walking'],
      options: ['Sitting', 'Walking', 'Lying', 'Standing'],
    },
    references: ['Walking', 'B'],
    asked: /Question: Who \$1\?\nA\. Sitting\nB\. Walking\nC\. Lying\nD\. Standing\n\n$/,
  },
  code_debug: {
    record: { context: 'def f(): {x}', input: 'Which?', answer: ['f', 'C'], options: ['h', 'g', 'f', 'e'] },
    references: ['f', 'C'],
    asked: /C\. f\n/,
  },
  code_run: {
    record: {
      context: 'def func_1(x):\n return x',
      input: 'Please give me the return value of func_63(-2).',
      answer: 4,
    },
    references: ['4'],
    asked: /compute the exact value of func_63\(-2\)\. $/,
  },
  math_find: {
    record: {
      context: '[1, 2]',
      input: 'You should answer with only one number. The second largest number of the list is:',
      answer: 1,
    },
    references: ['1'],
    asked: /^\n\nYou should answer/,
  },
  math_calc: { record: { context: '1 + 2', input: '', answer: [1, 3] }, references: ['1', '3'], asked: /Values:$/ },
};

for (const [name, { record, references, evidence, asked }] of Object.entries(RECORDS)) {
  test(`${name}: prompt, references and evidence of a record`, () => {
    const file = path.join(ownFolder({ [`${name}.jsonl`]: [record] }), `${name}.jsonl`);
    const [sample] = samplesFrom(`infinitebench_${name}`, file);
    assert.deepEqual(sample!.references, references);
    assert.match(sample!.question, asked);
    assert.doesNotMatch(
      sample!.context + sample!.question + sample!.answerPrefix,
      /\{(?:input|context|OPTION_A|func|func_call|prefix)\}/,
    );
    assert.deepEqual(
      sample!.evidence.map(({ start, end }) => sample!.context.slice(start, end)),
      evidence === undefined ? [] : [evidence],
    );
    const { score } = scorerById(findTask(`infinitebench_${name}`)!.scorer);
    const right =
      name === 'code_debug' ? 'The answer is: C' : references.at(name.startsWith('longbook_choice') ? 1 : 0)!;
    assert.ok(score(name === 'math_calc' ? '[1, 3]' : right, sample!) === 1);
  });
}

test('the list that math_find asks about is announced before it, in words of the question', () => {
  const file = path.join(ownFolder({ 'math_find.jsonl': [RECORDS.math_find!.record] }), 'math_find.jsonl');
  const [sample] = samplesFrom('infinitebench_math_find', file);
  assert.ok(sample!.context.startsWith('What is the second largest number in the following list?\n\n[1, 2]'));
});

test('an answer that is none of the options is an error that names file, line and field', () => {
  const record = { ...RECORDS.longbook_choice_eng!.record, answer: ['Flying'] };
  const file = path.join(ownFolder({ 'longbook_choice_eng.jsonl': [record] }), 'longbook_choice_eng.jsonl');
  assert.throws(() => samplesFrom('infinitebench_longbook_choice_eng', file), {
    code: 'ERR_DATASET_FORMAT',
    message: /longbook_choice_eng\.jsonl:1 answer: expected one of the options/,
  });
});

test('a needle that the middle cut takes away is told', () => {
  const context = `${noise.repeat(200)}The pass key is 71432. Remember it. 71432 is the pass key.\n${noise.repeat(200)}`;
  const file = path.join(
    ownFolder({ 'passkey.jsonl': [{ context, input: 'What is the pass key?', answer: '71432' }] }),
    'passkey.jsonl',
  );
  const [sample] = samplesFrom('infinitebench_passkey', file, { length: 1000 });
  assert.deepEqual(sample!.evidence, []);
  assert.equal(sample!.meta.evidenceCut, 1);
  assert.ok(Number(sample!.meta.truncatedTokens) > 1000);
});
