import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { missingData, publishedLines } from '../../datasets/published-data.js';
import { ownFolder, samplesFrom } from './own-dataset-file.js';

const meeting = (spans: [string, string][]) => ({
  general_query_list: [{ query: 'Summarize the whole meeting.', answer: 'All of it.' }],
  specific_query_list: [{ query: 'What of $1?', answer: 'Part of it.', relevant_text_span: spans }],
  meeting_transcripts: ['zero', 'one', 'two', 'three'].map((content, i) => ({ speaker: `S${i}`, content })),
});

test('QMSum: a sample for each query, with the turns that it is about as evidence', () => {
  const folder = ownFolder({
    'test.jsonl': [
      meeting([
        ['2', '3'],
        ['0', '0'],
        ['3', '3'],
      ]),
    ],
  });
  const [sample, ...rest] = samplesFrom('qmsum', path.join(folder, 'test.jsonl'), {
    params: { queries: 'all' },
  }).reverse();
  assert.equal(rest.length, 1);
  const { context, question, evidence } = sample!;
  assert.ok(context.endsWith('Transcript:\nS0: zero\nS1: one\nS2: two\nS3: three'));
  assert.match(question, /Query: What of \$1\?\nAnswer:$/);
  assert.deepEqual(
    evidence.map(({ start, end }) => context.slice(start, end)),
    ['S0: zero', 'S2: two\nS3: three'],
  );
  assert.deepEqual(rest[0]!.evidence, [], 'a general query is about everything');
});

test('QMSum: turns that the meeting does not have are an error that names file, line and field', () => {
  for (const span of [
    ['2', '4'],
    ['3', '2'],
    ['x', '2'],
  ] as [string, string][])
    assert.throws(() => samplesFrom('qmsum', path.join(ownFolder({ 'test.jsonl': [meeting([span])] }), 'test.jsonl')), {
      code: 'ERR_DATASET_FORMAT',
      message: /test\.jsonl:1 specific_query_list\[0\]\.relevant_text_span/,
    });
});

const file = 'qmsum/test.jsonl.gz';
test('QMSum: every query of the test set makes a sample', { skip: missingData(file) ?? false }, () => {
  const from = fileURLToPath(new URL(`../../../shared/data/${file}`, import.meta.url));
  const queries = publishedLines(file).flatMap((one) => one.specific_query_list as { relevant_text_span: unknown[] }[]);
  const samples = samplesFrom('qmsum', from);
  assert.equal(samples.length, queries.length);
  for (const { evidence, documents } of samples) assert.ok(evidence.length > 0 && documents.length === 0);
  const cut = samplesFrom('qmsum', from, { length: 4096, samples: 20 });
  for (const { meta, evidence } of cut) {
    assert.ok(Number(meta.truncatedTokens) > 0);
    assert.ok(evidence.length === 0 || evidence.every(({ start, end }) => end > start));
  }
});

test('GovReport: report and summary', () => {
  const folder = ownFolder({ 'test.parquet.jsonl': [{ report: 'A report.', summary: 'Short.' }] });
  const [sample] = samplesFrom('govreport', path.join(folder, 'test.parquet.jsonl'));
  assert.match(sample!.context, /Report:\nA report\.$/);
  assert.deepEqual(sample!.references, ['Short.']);
});
