import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { writeTinyModel } from '../engine/tiny-model.js';
import { loadAddon } from '../native/index.js';
import { runWinnow } from './run-winnow.js';

const folder = mkdtempSync(path.join(tmpdir(), 'winnow-retrieval-command-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const model = writeTinyModel(path.join(folder, 'model'));
const skip = (() => {
  try {
    loadAddon();
    return false;
  } catch {
    return 'the native addon is not built';
  }
})();

const lines = (...records: object[]): string => records.map((record) => `${JSON.stringify(record)}\n`).join('');
const set = path.join(folder, 'sea');
mkdirSync(path.join(set, 'qrels'), { recursive: true });
writeFileSync(
  path.join(set, 'corpus.jsonl'),
  lines({ _id: 'a', text: 'Tides follow the moon.' }, { _id: 'b', text: 'Bread rises with yeast.' }),
);
writeFileSync(path.join(set, 'queries.jsonl'), lines({ _id: 'q', text: 'What do tides follow?' }));
writeFileSync(path.join(set, 'qrels', 'test.tsv'), 'q\ta\t1\n');

test('a folder of judged queries is ranked by method, as JSON and CSV', { skip }, async () => {
  const csv = path.join(folder, 'rows.csv');
  const words = ['retrieval', set, '--method', 'bm25-top-k', '--token-budget', '40', '--model', model, '--csv', csv];
  const { code, stdout, stderr } = await runWinnow([...words, '--json']);
  assert.equal(code, 0, stderr);
  const [row, ...more] = JSON.parse(stdout) as { method: string; summary: Record<string, unknown> }[];
  assert.equal(more.length, 0);
  assert.equal(row!.method, 'bm25-top-k');
  const { mean, low, high } = row!.summary.ndcgAt10 as Record<'mean' | 'low' | 'high', number>;
  assert.deepEqual([mean, high], [1, 1]);
  assert.ok(low < 0.5, 'one query says little');
  const [head, values] = readFileSync(csv, 'utf8').trim().split('\n');
  assert.equal(head!.split(',').length, values!.split(',').length);
  assert.ok(head!.startsWith('set,method,keptFraction,tokenBudget,queries,judged'));
});

test('a task is a set of samples, and prints a table of rankings and one of pieces', { skip }, async () => {
  const words = ['retrieval', 'world_1_hop', '--samples', '2', '--length', '2k', '--method', 'bm25-top-k', '--cut'];
  const { code, stdout, stderr } = await runWinnow([...words, '--model', model]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^world_1_hop: 2 queries, 2 with something to find\n\nmethod +nDCG@10/);
  assert.match(stdout, /tokens least \/ median \/ most/);
});

test('what is neither a task nor a folder, two budgets, and a method of another kind are refused', {
  skip,
}, async () => {
  const refused = async (words: readonly string[], message: RegExp): Promise<void> => {
    const { code, stderr } = await runWinnow(['retrieval', ...words, '--model', model]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
  };
  await refused(['world_1_hops'], /a task or a folder, got "world_1_hops"\. Did you mean/);
  await refused([set, '--token-budget', '9', '--kept-fraction', '0.5'], /--token-budget: expected one budget/);
  await refused([set, '--method', 'snapkv'], /ERR_UNSUPPORTED\] snapkv/);
});
