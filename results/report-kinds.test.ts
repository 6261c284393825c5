import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { tinyShape, writeSyntheticRun } from './fixtures/synthetic-run.js';
import { reportRun } from './report.js';
import { runPaths } from './run-files.js';
import { meansByKind, memoryAnswers } from './sample-kinds.js';
import type { CellFacts, SampleRecord, ScoredSample } from './schema.js';
import { summariseRun } from './summary.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-kinds-'));
after(() => rmSync(root, { recursive: true, force: true }));

let runs = 0;
const runOf = (tasks: string[], alter: (sample: ScoredSample, cell: CellFacts) => ScoredSample): string => {
  const dir = join(root, String(runs++));
  const shape = { ...tinyShape, tasks, methods: ['dense', 'snapkv'], samples: 6 };
  writeSyntheticRun(dir, shape, {
    alter: (sample, cell): SampleRecord => (sample.status === 'ok' ? alter(sample, cell) : sample),
  });
  return dir;
};
const reportOf = async (dir: string): Promise<string> => {
  await reportRun(dir);
  return readFileSync(runPaths(dir).report, 'utf8');
};

test('scores are split by the buckets of the records, in their order, and averaged over tasks', async () => {
  const buckets = ['8k+', '0-4k', '4-8k'];
  const dir = runOf(['vt', 'cwe'], (sample, { task, method }) => ({
    ...sample,
    score: method.id === 'dense' ? (sample.index % 3 === 0 ? 0 : 1) : task === 'vt' ? 0.5 : 0,
    meta: { bucket: buckets[sample.index % 3]!, words: sample.index },
  }));
  const [cell] = summariseRun(dir).cells;
  assert.deepEqual(
    [...meansByKind(cell!.samples, 'bucket')!],
    [
      ['0-4k', { score: 1, samples: 2 }],
      ['4-8k', { score: 1, samples: 2 }],
      ['8k+', { score: 0, samples: 2 }],
    ],
  );
  const report = await reportOf(dir);
  assert.match(
    report,
    /### vt, 512 tokens, query-aware: length of the record in words\n\n\| method \| budget \| 0-4k \| 4-8k \| 8k\+ \|/,
  );
  assert.match(report, /\| dense \(c\) \| {2}\| 1\.00 \(2\) \| 1\.00 \(2\) \| 0\.00 \(2\) \|/);
  assert.match(report, /### 2 tasks, 512 tokens, query-aware: length of the record in words/);
  assert.match(report, /\| snapkv \| 0\.5 \| 0\.25 \(2\) \| 0\.25 \(2\) \| 0\.25 \(2\) \|/);
});

test('samples of one kind, or without one, are not split', async () => {
  const one = await reportOf(runOf(['vt'], (sample) => ({ ...sample, meta: { bucket: '8k+' } })));
  assert.ok(!one.includes('Scores by kind') && !one.includes('Answers from memory'));
});

test('answers against the context are counted by whose word they take', async () => {
  const predictions = ['It is Oslo.', 'the capital is PARIS', 'Oslo, not Paris', 'Paris, not Oslo', 'Rome', ''];
  const scores = [1, 0, 1, 0, 0, 0];
  const dir = runOf(['counterfactual'], (sample) => ({
    ...sample,
    prediction: predictions[sample.index]!,
    score: scores[sample.index]!,
    meta: { prior: 'Paris', contradicts: true },
  }));
  const [cell] = summariseRun(dir).cells;
  assert.deepEqual(memoryAnswers(cell!.samples), { fromContext: 2, fromMemory: 2, neither: 2 });
  assert.match(await reportOf(dir), /\| counterfactual \| 512 \| query-aware \| dense \(c\) \| {2}\| 2 \| 2 \| 2 \|/);
  const agreeing = cell!.samples.map((sample) => ({ ...sample, meta: { prior: 'Paris', contradicts: false } }));
  assert.equal(memoryAnswers(agreeing as SampleRecord[]), undefined);
});
