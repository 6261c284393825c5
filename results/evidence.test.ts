import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'csv-parse/sync';
import { evidenceDiagnoses, faithfulness } from './evidence.js';
import { syntheticCells, syntheticOptions, syntheticSample, tinyShape } from './fixtures/synthetic-run.js';
import { reportRun } from './report.js';
import { openRun } from './run-directory.js';
import { runPaths } from './run-files.js';
import type { SampleRecord } from './schema.js';
import { summariseRun } from './summary.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-evidence-'));
after(() => rmSync(root, { recursive: true, force: true }));

const shape = { ...tinyShape, tasks: ['vt', 'vt-evidence'], methods: ['dense', 'snapkv'], samples: 4 };
/** By sample: what the setting scores when it answers and when it names documents, and what it kept. */
const table = [
  { answer: 1, access: 1, recall: 1 },
  { answer: 1, access: 0.5, recall: 0.2 },
  { answer: 0, access: 1, recall: 0.9 },
  { answer: 0, access: 0, recall: 0 },
];
const dir = join(root, 'run');
const run = openRun(syntheticOptions(dir, shape));
for (const cell of syntheticCells(shape)) {
  const asks = cell.taskName.endsWith('-evidence');
  const samples = table.map(({ answer, access, recall }, index): SampleRecord => {
    const sample = syntheticSample(cell, index);
    assert.ok(sample.status === 'ok');
    return { ...sample, sampleId: `${index}`, score: asks ? access : answer, evidenceRecall: recall };
  });
  run.appendSamples(cell.cellId, samples);
  run.finishCell(asks ? { ...cell, ask: 'evidence' } : cell);
}
run.close('finished');

test('access, use given access, and answers by whether their evidence was kept', () => {
  const { cells } = summariseRun(dir);
  const diagnoses = evidenceDiagnoses(cells);
  assert.deepEqual(
    [...diagnoses.keys()].map(({ facts }) => facts.taskName),
    ['vt', 'vt'],
  );
  for (const [cell, diagnosis] of diagnoses) {
    assert.deepEqual(diagnosis, { access: 0.625, useGivenAccess: 0.5, samplesWithAccess: 2 });
    assert.deepEqual(faithfulness(cell.samples), { rightKept: 1, rightLost: 1, wrongKept: 1, wrongLost: 1 });
  }
});

test('the report shows the three side by side, the table of cells has them last', async () => {
  const { csv } = await reportRun(dir);
  const report = readFileSync(runPaths(dir).report, 'utf8');
  assert.match(report, /## Evidence: access, use, recall/);
  assert.match(report, /\| snapkv \| 0\.5 \| 0\.50 \| 0\.63 \| 0\.50 \(2\) \| 0\.5\d \| 1 \| 1 \| 1 \| 1 \|/);
  const rows = parse(readFileSync(csv, 'utf8'), { columns: true }) as Record<string, string>[];
  const [answering, asking] = ['vt', 'vt-evidence'].map((task) => rows.find((row) => row.task === task)!);
  const names = ['evidenceAccess', 'useGivenAccess', 'rightKept', 'rightLost', 'wrongKept', 'wrongLost'];
  assert.deepEqual(
    names.map((name) => answering![name]),
    ['0.625', '0.5', '1', '1', '1', '1'],
  );
  assert.deepEqual(
    names.map((name) => asking![name]),
    ['', '', '', '', '', ''],
  );
});
