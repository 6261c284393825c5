import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { missingData } from '../../datasets/published-data.js';
import { scorerById } from '../scorers/index.js';
import { findTask } from './index.js';
import { ownFolder, samplesFrom } from './own-dataset-file.js';

const passages = (count: number, answer?: number) =>
  Array.from({ length: count }, (_, i) => ({
    title: `T${i}`,
    text: `Passage ${i} tells ${i === answer ? 'of the Blue House.' : 'of nothing.'}`,
  }));
const rag = (question: string, answer = 3, count = 20) => ({
  question,
  answers: ['blue house'],
  ctxs: passages(count, answer),
});

test('RAG: two solved examples stand before the passages, and those that hold an answer stay', () => {
  const folder = ownFolder({
    'nq-dev-multikilt_1000_k20_dep6.jsonl': [rag('Where?'), rag('When?')],
    'nq-train-multikilt_1000_k3_dep6.jsonl': [rag('Where?', 0, 3), rag('One?', 0, 3), rag('Two?', 1, 3)],
  });
  const [whole] = samplesFrom('helmet_nq', folder);
  assert.equal(whole!.documents.length, 20);
  const examples = whole!.context.slice(0, whole!.documents[0]!.start);
  assert.match(examples, /Question: One\?\nAnswer: blue house\n\n/);
  assert.match(examples, /Question: Two\?\nAnswer: blue house\n\n/);
  assert.doesNotMatch(examples, /Question: Where\?/, 'the question itself is no example');
  assert.equal(whole!.question + whole!.answerPrefix, '\n\nQuestion: Where?\nAnswer:');
  const [short] = samplesFrom('helmet_nq', folder, { length: 260 });
  const { context, evidence, meta, documents } = short!;
  assert.ok(documents.length < 20 && Number(meta.droppedDocuments) === 20 - documents.length);
  assert.deepEqual(
    evidence.map(({ start, end }) => context.slice(start, end)),
    ['Passage 3 tells of the Blue House.'],
  );
  assert.deepEqual(samplesFrom('helmet_nq', folder)[0], whole, 'the same examples every time');
});

test('PopQA asks about rare subjects only', () => {
  const folder = ownFolder({
    'popqa_test_1000_k20_dep6.jsonl': [
      { ...rag('Known?'), s_pop: 5000 },
      { ...rag('Rare?'), s_pop: 999 },
    ],
    'popqa_test_1000_k3_dep6.jsonl': [{ ...rag('Other?'), s_pop: 10 }],
  });
  const samples = samplesFrom('helmet_popqa', folder, { params: { shots: 1 } });
  assert.deepEqual(
    samples.map(({ question }) => question),
    ['\n\nQuestion: Rare?\n'],
  );
});

test('re-ranking: the gold order scores 1, and passages without a label go first', () => {
  const ctxs = Array.from({ length: 14 }, (_, i) => ({
    id: String(100 + i),
    text: `Text number ${i} of a list.`,
    label: i === 5 ? 3 : i === 9 ? 1 : 0,
  }));
  const folder = ownFolder({
    'test_reranking_data_k14_dep3.jsonl': [{ qid: 'q', query: 'What?', ctxs }],
    'test_reranking_data_k10_dep3.jsonl': [{ qid: 'p', query: 'Who?', ctxs: ctxs.slice(4, 7) }],
  });
  const [sample] = samplesFrom('helmet_rerank', folder, { params: { shots: 1 }, length: 450 });
  const { context, references, documentIds } = sample!;
  assert.match(context, /Query: Who\?\nRanking: 105 > 104 > 106\n\n/);
  assert.deepEqual(references, ['105 3', '109 1']);
  assert.ok(documentIds!.includes('105') && documentIds!.includes('109') && documentIds!.length < 14);
  const { score } = scorerById(findTask('helmet_rerank')!.scorer);
  assert.equal(score(' 105 > 109 > 100', sample!), 1);
  assert.ok(score(' 109 > 105', sample!) < 1);
});

test('citation: documents are numbered, the question stands before them, and named answers score', () => {
  const record = {
    question: 'Which?',
    docs: passages(40, 2),
    qa_pairs: [{ short_answers: ['the Blue House', 'a blue house'] }, { short_answers: ['red'] }],
  };
  const [sample] = samplesFrom('helmet_asqa', ownFolder({ 'asqa_eval_gtr_top2000.json': [record] }));
  assert.match(sample!.context, /\n\nQuestion: Which\?\n\nDocument \[1\]\(Title: T0\): Passage 0/);
  assert.equal(sample!.documents.length, 30);
  assert.equal(scorerById(findTask('helmet_asqa')!.scorer).score('It is the Blue House [3].', sample!), 0.5);
  const folder = ownFolder({ 'asqa_eval_gtr_top2000.json': [{ ...record, qa_pairs: null }] });
  assert.throws(() => samplesFrom('helmet_asqa', folder), {
    code: 'ERR_DATASET_FORMAT',
    message: /qa_pairs: expected answers/,
  });
});

test('recall: solved keys after the object, the pair as evidence', () => {
  const record = {
    context: '{"a": "1",\n "b": "2",\n "c": "3"}',
    question: 'b',
    answer: '2',
    demos: [
      ['a', '1'],
      ['c', '3'],
    ],
  };
  const [sample] = samplesFrom('helmet_json_kv', ownFolder({ 'test_k50_dep6.jsonl': [record] }));
  const { context, question, evidence } = sample!;
  assert.match(question, /below\.\n\nKey: a\nCorresponding value: 1\n\nKey: c\nCorresponding value: 3\n\nKey: b\n$/);
  assert.equal(context.slice(evidence[0]!.start, evidence[0]!.end), '"b": "2"');
});

test('books: questions about other books as examples, the letter of an option as its answer', () => {
  const book = (input: string, at: number) => ({
    context: `The book of ${input}`,
    input,
    answer: ['Two'],
    options: ['Zero', 'One', 'Two', 'Three'].toSpliced(at, 1, 'Two').toSpliced(at === 2 ? 0 : 2, 1, 'Zero'),
  });
  const folder = ownFolder({ 'longbook_choice_eng.jsonl': [book('Who?', 2), book('What?', 1)] });
  const [sample] = samplesFrom('helmet_infbench_choice', folder);
  assert.match(
    sample!.context,
    /\[story text\]\nQuestion: What\?\nOptions:\nA\. Zero\nB\. Two\nC\. Zero\nD\. Three\nAnswer: B\n\nNow, read/,
  );
  assert.deepEqual(sample!.references, ['C', 'C. Two']);
  const { score } = scorerById('helmet/infbench_choice');
  assert.deepEqual(
    ['C', 'Answer: C', 'I say c. two', 'B'].map((text) => score(text, sample!)),
    [1, 1, 1, 0],
  );
});

const data = (name: string): string => fileURLToPath(new URL(`../../../shared/data/icl/${name}`, import.meta.url));
const iclSkip = missingData('icl/trec_train_5500.label') ?? missingData('icl/clinc150_oos_plus.json.gz') ?? false;

test('in-context learning: the published sets, balanced, with labels that only the examples explain', {
  skip: iclSkip,
}, () => {
  const folder = ownFolder({});
  for (const [from, to] of [
    ['trec_train_5500.label', 'train_5500.label'],
    ['trec_TREC_10.label', 'TREC_10.label'],
    ['banking77_train.csv', 'train.csv'],
    ['banking77_test.csv', 'test.csv'],
  ] as const)
    copyFileSync(data(from), path.join(folder, to));
  writeFileSync(path.join(folder, 'data_oos_plus.json'), gunzipSync(readFileSync(data('clinc150_oos_plus.json.gz'))));
  for (const [name, classes, length] of [
    ['trec_coarse', 6, 1500],
    ['trec_fine', 50, 4000],
    ['banking77', 77, 4000],
    ['clinc150', 151, 6000],
  ] as const) {
    const [sample, other] = samplesFrom(`helmet_${name}`, folder, { length, samples: 2 });
    const { context, documents, evidence, references, meta } = sample!;
    assert.equal(meta.classes, classes, name);
    const labels = documents.map(({ start, end }) => /label: (.+)$/.exec(context.slice(start, end))![1]!);
    assert.ok(documents.length >= classes, `${name}: ${documents.length} examples`);
    assert.equal(new Set(labels.slice(0, classes)).size, classes, 'every class once before any comes again');
    const right = evidence.map(({ start, end }) => /label: (.+)$/.exec(context.slice(start, end))![1]!);
    assert.ok(right.length > 0 && right.every((label) => label === references[0]));
    assert.notEqual(sample!.question, other!.question);
    assert.equal(scorerById('helmet/icl').score(` ${references[0]}\n`, sample!), 1);
  }
});
