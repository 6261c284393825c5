import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { ownFolder, samplesFrom } from './own-dataset-file.js';

const session = (name: string, turns: number) =>
  Array.from({ length: turns }, (_, i) => ({
    role: i % 2 === 0 ? 'user' : 'assistant',
    content: `${name} says “${i}”\nand more`,
  }));

const record = (more: object = {}) => ({
  question_id: 'q1',
  question_type: 'multi-session',
  question: 'How many?',
  answer: 3,
  question_date: '2023/05/30 (Tue) 10:00',
  haystack_dates: ['2023/05/22 (Mon) 02:21', '2023/05/20 (Sat) 02:21', '2023/05/21 (Sun) 02:21'],
  haystack_session_ids: ['s2', 's0', 's1'],
  haystack_sessions: [session('two', 4), session('zero', 40), session('one', 40)],
  answer_session_ids: ['s2'],
  ...more,
});
const marked = (turns: object[]) => turns.map((turn, i) => (i === 1 ? { ...turn, has_answer: true } : turn));
const made = (records: object[], order = {}) =>
  samplesFrom(
    'longmemeval',
    path.join(ownFolder({ 'longmemeval_s_cleaned.json': records }), 'longmemeval_s_cleaned.json'),
    order,
  );

test('sessions come by date, as JSON as Python writes it, with the marked turns as evidence', () => {
  const [sample] = made([
    record({ haystack_sessions: [marked(session('two', 2)), session('zero', 1), session('one', 1)] }),
  ]);
  const { context, question, documents, documentIds, evidence, references, meta } = sample!;
  assert.equal(
    context,
    'I will give you several history chats between you and a user. Please answer the question based on the relevant chat history.\n\n\nHistory Chats:\n\n' +
      [
        ['2023/05/20 (Sat) 02:21', '[{"role": "user", "content": "zero says \\u201c0\\u201d\\nand more"}]'],
        ['2023/05/21 (Sun) 02:21', '[{"role": "user", "content": "one says \\u201c0\\u201d\\nand more"}]'],
        [
          '2023/05/22 (Mon) 02:21',
          '[{"role": "user", "content": "two says \\u201c0\\u201d\\nand more"}, {"role": "assistant", "content": "two says \\u201c1\\u201d\\nand more"}]',
        ],
      ]
        .map(([date, text], i) => `\n### Session ${i + 1}:\nSession Date: ${date}\nSession Content:\n\n${text}\n`)
        .join(''),
  );
  assert.equal(question, '\n\nCurrent Date: 2023/05/30 (Tue) 10:00\nQuestion: How many?\nAnswer:');
  assert.deepEqual(
    evidence.map(({ start, end }) => context.slice(start, end)),
    ['{"role": "assistant", "content": "two says \\u201c1\\u201d\\nand more"}'],
  );
  assert.equal(documents.length, 3);
  assert.deepEqual(documentIds, ['Session 1', 'Session 2', 'Session 3']);
  assert.deepEqual(references, ['3']);
  assert.equal(meta.questionType, 'multi-session');
});

test('where the history is too long, sessions without evidence go first, and the rest is numbered anew', () => {
  const [sample] = made([record()], { length: 800, maxNewTokens: 100, params: { history: 'plain' } });
  const { context, evidence, meta } = sample!;
  assert.equal(meta.droppedDocuments, 1);
  assert.equal(meta.truncatedTokens, 0);
  assert.match(context, /### Session 2:\nSession Date: 2023\/05\/22/);
  assert.match(context.slice(evidence[0]!.start, evidence[0]!.end), /^\n\nuser: two says “0”/);
});

test('the sessions with evidence lose their middle only where they alone are too long', () => {
  const [sample] = made([record()], { length: 300, maxNewTokens: 100 });
  assert.equal(sample!.meta.droppedDocuments, 2);
  assert.ok(sample!.meta.truncatedTokens === 0 || sample!.meta.evidenceCut === 1);
});

test('questions are chosen by type and by abstention; preferences have no rule and are left out', () => {
  const records = [
    record(),
    record({ question_id: 'q2_abs' }),
    record({ question_id: 'q3', question_type: 'single-session-preference' }),
    record({ question_id: 'q4', question_type: 'temporal-reasoning' }),
  ];
  const ids = (params: object) => made(records, { params }).map(({ meta }) => meta.id);
  assert.deepEqual(ids({}), ['q1', 'q2_abs', 'q4']);
  assert.deepEqual(ids({ abstention: 'without' }), ['q1', 'q4']);
  assert.deepEqual(ids({ abstention: 'only' }), ['q2_abs']);
  assert.deepEqual(ids({ questionTypes: ['temporal-reasoning'] }), ['q4']);
  const [abstaining] = made(records, { params: { abstention: 'only' } });
  assert.deepEqual(abstaining!.evidence, [], 'nothing holds an answer');
});

test('a record that is not one is an error that names file, line and field', () => {
  const fault = record({ haystack_dates: ['2023/05/22 (Mon) 02:21'] });
  assert.throws(() => made([record(), fault]), {
    code: 'ERR_DATASET_FORMAT',
    message: /longmemeval_s_cleaned\.json:\d+ haystack_s\w+: expected as many as haystack_dates \(1\)/,
  });
});
