import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { RetrievalQuery } from './contract.js';
import { retrievalOfFolder } from './folder.js';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const lines = (...records: object[]): string => records.map((record) => `${JSON.stringify(record)}\n`).join('');

const folderOf = (files: Readonly<Record<string, string>>): string => {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-retrieval-'));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), name.endsWith('.gz') ? gzipSync(content) : content);
  }
  return folder;
};

const queriesOf = (files: Readonly<Record<string, string>>, split = 'test'): RetrievalQuery[] => [
  ...retrievalOfFolder(folderOf(files), { split }).queries,
];

/** Texts of the relevant documents with their grades. */
const relevantOf = ({ documents, relevant }: RetrievalQuery): [string, number][] =>
  relevant.map(({ start, end, grade }) => {
    const found = documents.find((document) => document.start === start)!;
    assert.equal(end, start + found.text.length);
    return [found.text, grade];
  });

const beir = {
  'corpus.jsonl': lines({ _id: 'a', title: 'Tides', text: 'The moon.' }, { _id: 'b', title: '', text: 'Bread rises.' }),
  'queries.jsonl': lines(
    { _id: 'q1', text: 'What moves the sea?' },
    { _id: 'q2', text: 'Why?' },
    { _id: 'q3', text: 'Who?' },
  ),
  'qrels/test.tsv': 'query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tb\t0\nq2\tb\t1\nq2\tzz\t1\n',
};

test('BEIR: title before text, grades above 0, queries without judgements left out, unknown documents kept as lacking', () => {
  const [one, two, ...more] = queriesOf(beir);
  assert.equal(more.length, 0);
  assert.deepEqual(relevantOf(one!), [['Tides The moon.', 2]]);
  assert.deepEqual(relevantOf(two!), [['Bread rises.', 1]]);
  assert.deepEqual(two!.lacking, [1]);
  assert.equal(one!.documents, two!.documents);
});

test('LMEB: judgements without a head, and candidates by the scene that a query id begins with', () => {
  const [first, second] = queriesOf({
    'corpus.jsonl.gz': lines({ id: 1, text: 'Anna.' }, { id: 2, text: 'Berta.' }, { id: 3, text: 'Clara.' }),
    'queries.jsonl': lines({ id: 's_1_0', text: 'Who came?' }, { id: 't_2_0', text: 'Who left?' }),
    'qrels.tsv': 's_1_0\t2\t1\nt_2_0\t3\t1\n',
    'candidates.jsonl': lines({ scene_id: 's_1', candidate_doc_ids: ['2', '3'] }),
  });
  assert.deepEqual(relevantOf(first!), [['Berta.', 1]]);
  assert.deepEqual([...first!.candidates!], [5, 11]);
  assert.equal(second!.candidates, undefined);
});

test('LoCo: answers within the queries, every dataset a corpus of its own', () => {
  const queries = queriesOf({
    'documents.jsonl': lines(
      { pid: 'p1', passage: 'Law.', dataset: 'legal' },
      { pid: 'p2', passage: 'Film.', dataset: 'screen' },
      { pid: 'p3', passage: 'Court.', dataset: 'legal' },
    ),
    'queries.jsonl': lines(
      { qid: 'q1', query: 'a film?', answer_pids: ['p2'], dataset: 'screen' },
      { qid: 'q2', query: 'a court?', answer_pids: ['p3'], dataset: 'legal' },
    ),
  });
  assert.deepEqual(
    queries.map(({ id }) => id),
    ['q2', 'q1'],
  );
  assert.deepEqual(relevantOf(queries[0]!), [['Court.', 1]]);
  assert.equal(queries[0]!.documents.length, 2);
  assert.equal(queries[1]!.documents.length, 1);
});

test('BrowseComp-Plus: the columns of TREC by split, or the documents that a query names', () => {
  const corpus = lines({ docid: '7', text: 'Seven.' }, { docid: '8', text: 'Eight.' });
  const query = { query_id: '1', query: 'Which?', evidence_docs: [{ docid: '8' }], gold_docs: [{ docid: '7' }] };
  const judged = { 'corpus.jsonl': corpus, 'queries.jsonl': lines(query), 'qrel_evidence.txt': '1 Q0 7 1\n1 Q0 8 1\n' };
  assert.equal(relevantOf(queriesOf(judged, 'evidence')[0]!).length, 2);
  const named = { 'corpus.jsonl': corpus, 'queries.jsonl': lines(query) };
  assert.deepEqual(relevantOf(queriesOf(named, 'gold')[0]!), [['Seven.', 1]]);
  assert.deepEqual(relevantOf(queriesOf(named)[0]!), [['Eight.', 1]]);
});

test('what is missing or damaged is one error that names file, line and field', () => {
  const refuses = (
    files: Partial<typeof beir> & Record<string, string>,
    message: RegExp,
    code = 'ERR_DATASET_FORMAT',
  ) => assert.throws(() => queriesOf(files), { code, message });
  refuses({ 'queries.jsonl': beir['queries.jsonl'] }, /documents: corpus.jsonl/, 'ERR_MISSING');
  refuses(
    { ...beir, 'corpus.jsonl': `${beir['corpus.jsonl']}{"_id": "c"}\n` },
    /corpus.jsonl:3: expected a text text or passage/,
  );
  refuses(
    { ...beir, 'corpus.jsonl': `${beir['corpus.jsonl']}{"_id": "a", "text": "Again."}\n` },
    /corpus.jsonl:3.*an id of its own/,
  );
  refuses({ ...beir, 'corpus.jsonl': '{"_id": "a", "te' }, /corpus.jsonl:1/);
  refuses({ ...beir, 'queries.jsonl': '[1]\n' }, /queries.jsonl:1: expected an object/);
  refuses({ ...beir, 'qrels/test.tsv': 'q1\ta\t1\nq2 b\n' }, /test.tsv:2/);
  refuses({ ...beir, 'qrels/test.tsv': 'q9\ta\t1\n' }, /queries with judgements of test/);
});
