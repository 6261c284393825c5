import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WinnowError } from '../../core/errors.js';
import { missingData, publishedLines } from '../../datasets/published-data.js';
import { LONGBENCH } from './longbench-wording.js';
import { ownFolder, samplesFrom } from './own-dataset-file.js';

const record = (more: object = {}) => ({
  input: 'Who wrote $& it?',
  context: 'Passage 1:\nOne text.\nPassage 2:\nAnother text.',
  answers: ['a', 'b'],
  length: 5000,
  dataset: 'hotpotqa',
  language: 'en',
  all_classes: null,
  _id: 'x',
  ...more,
});

test('a record becomes the wording of its dataset, with its documents and its bucket of length', () => {
  const [sample, more] = samplesFrom(
    'longbench_hotpotqa',
    path.join(ownFolder({ 'hotpotqa.jsonl': [record()] }), 'hotpotqa.jsonl'),
  );
  const { context, question, documents, documentIds, meta } = sample!;
  assert.equal(more, undefined, 'no more samples than records');
  const { context: text, input } = record();
  assert.equal(
    context + question,
    LONGBENCH.hotpotqa!.prompt.replace('{context}', text).replace('{input}', () => input),
  );
  assert.deepEqual(
    documents.map(({ start, end }) => context.slice(start, end)),
    ['Passage 1:\nOne text.', 'Passage 2:\nAnother text.'],
  );
  assert.deepEqual(documentIds, ['Passage 1', 'Passage 2']);
  assert.equal(meta.bucket, '4-8k');
  assert.equal(meta.record, 'hotpotqa.jsonl:1');
});

test('records come in an order that the seed draws, each once; or as in the file', () => {
  const records = Array.from({ length: 30 }, (_, i) => record({ input: `${i}` }));
  const file = path.join(ownFolder({ 'hotpotqa.jsonl': records }), 'hotpotqa.jsonl');
  const asked = (order: object) =>
    samplesFrom('longbench_hotpotqa', file, order).map(({ question }) => Number(/Question: (\d+)/.exec(question)![1]));
  const all = records.map((_, i) => i);
  const drawn = asked({ params: { records: 'shuffled' }, seed: 1 });
  assert.deepEqual(asked({}), all);
  assert.notDeepEqual(drawn, all);
  assert.deepEqual(
    [...drawn].sort((a, b) => a - b),
    all,
  );
  assert.notDeepEqual(asked({ params: { records: 'shuffled' }, seed: 2 }), drawn);
});

test('few-shot and code prompts are plain text, and classes come along', () => {
  const folder = ownFolder({ 'trec.jsonl': [record({ all_classes: ['City', 'Country'] })] });
  const [sample] = samplesFrom('longbench_trec', path.join(folder, 'trec.jsonl'));
  assert.equal(sample!.chatTemplate, false);
  assert.deepEqual(sample!.classes, ['City', 'Country']);
});

test('the paragraph that the answer names is the evidence', () => {
  const context = 'Paragraph 1: one\n\nParagraph 2: two, as Paragraph 3: says\n\nParagraph 3: three';
  const folder = ownFolder({ 'passage_retrieval_en.jsonl': [record({ context, answers: ['Paragraph 2'] })] });
  const [sample] = samplesFrom('longbench_passage_retrieval_en', path.join(folder, 'passage_retrieval_en.jsonl'));
  const [span, ...rest] = sample!.evidence;
  assert.equal(sample!.context.slice(span!.start, span!.end), 'Paragraph 2: two, as Paragraph 3: says');
  assert.equal(rest.length, 0);
});

test('LongBench-E is read from its own file, by the datasets that it has', () => {
  const folder = ownFolder({ 'lcc_e.jsonl': [record()] });
  const params = { edition: 'even-lengths' };
  assert.equal(samplesFrom('longbench_lcc', path.join(folder, 'lcc_e.jsonl'), { params }).length, 1);
  assert.throws(() => samplesFrom('longbench_narrativeqa', folder, { params }), { code: 'ERR_SUITE' });
});

test('a record that is not one is an error that names file, line and field', () => {
  const faults: [object, RegExp][] = [
    [record({ answers: undefined }), /qasper\.jsonl:2 answers: expected a list/],
    [record({ answers: [] }), /qasper\.jsonl:2 answers: expected a list with a length of at least 1/],
    [record({ answers: [7] }), /qasper\.jsonl:2 answers\[0\]: expected text/],
    [record({ context: '' }), /qasper\.jsonl:2 context: expected text with a length of at least 1/],
    [record({ length: 'long' }), /qasper\.jsonl:2 length: expected a number/],
    [[1], /qasper\.jsonl:2: expected fields/],
  ];
  for (const [fault, message] of faults) {
    const file = path.join(ownFolder({ 'qasper.jsonl': [record(), fault] }), 'qasper.jsonl');
    assert.throws(
      () => samplesFrom('longbench_qasper', file),
      (error) => error instanceof WinnowError && error.code === 'ERR_DATASET_FORMAT' && message.test(error.message),
      String(message),
    );
  }
});

test('data that is not there is said with the command that fetches it', () => {
  assert.throws(() => samplesFrom('longbench_qasper', ownFolder({})), {
    code: 'ERR_MISSING',
    message: /winnow datasets pull longbench/,
  });
});

const multiNews = 'longbench_v1/multi_news_full.jsonl.gz';
test('multi_news: all 200 records fit their length, with the middle taken out of the text alone', {
  skip: missingData(multiNews) ?? false,
}, () => {
  const file = fileURLToPath(new URL(`../../../shared/data/${multiNews}`, import.meta.url));
  const samples = samplesFrom('longbench_multi_news', file, { length: 2048 });
  const records = publishedLines(multiNews);
  assert.equal(samples.length, 200);
  const cut = samples.filter(({ meta }) => Number(meta.truncatedTokens) > 0);
  assert.ok(cut.length > 20 && cut.length < 200, `${cut.length} are cut`);
  const [before, after] = LONGBENCH.multi_news!.prompt.split('{context}');
  for (const [i, { context, question, meta, documents }] of samples.entries()) {
    const text = records[i]!.context as string;
    assert.ok(context.startsWith(before!) && question === after);
    if (meta.truncatedTokens === 0) assert.equal(context, before + text);
    for (const { start, end } of documents) assert.match(context.slice(start, end), /^Passage \d+:/);
  }
});

/** Prompts that another project recorded; its wording of qasper is its own. */
for (const dataset of [
  'multifieldqa_en',
  '2wikimqa',
  'gov_report',
  'triviaqa',
  'passage_count',
  'passage_retrieval_en',
  'repobench-p',
]) {
  const file = `longbench_v1/${dataset}.jsonl.gz`;
  test(`${dataset}: the recorded prompts are ours`, { skip: missingData(file) ?? false }, () => {
    const { prompt: template } = LONGBENCH[dataset]!;
    const escaped = template.replace(/[.*+?^$()|[\]\\]/g, '\\$&');
    const fields = new RegExp(
      `^${escaped.replace('{context}', '(?<context>.*)').replace('{input}', '(?<input>.*?)')}$`,
      's',
    );
    const lines = publishedLines(file);
    const records = lines.map(({ prompt, answers }) =>
      record({ input: '', ...fields.exec(prompt as string)?.groups, answers }),
    );
    const folder = ownFolder({ [`${dataset}.jsonl`]: records });
    const samples = samplesFrom(`longbench_${dataset.replace('-', '_')}`, path.join(folder, `${dataset}.jsonl`), {
      length: 1_000_000,
    });
    for (const [i, { context, question, documents, evidence }] of samples.entries()) {
      assert.equal(context + question, lines[i]!.prompt);
      if (dataset === 'passage_retrieval_en') {
        assert.equal(documents.length, 30);
        assert.ok(context.slice(evidence[0]!.start).startsWith(`${records[i]!.answers[0]}: `));
      }
      if (dataset === '2wikimqa') assert.ok(documents.length >= 4);
    }
  });
}
