import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { tinyShape, writeSyntheticRun } from './fixtures/synthetic-run.js';
import { floorNote, floorRows } from './floor.js';
import { reportRun } from './report.js';
import { runPaths } from './run-files.js';
import type { CellFacts, SampleRecord } from './schema.js';
import { summariseRun } from './summary.js';
import { terminalFloor } from './terminal-floor.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-floor-'));
after(() => rmSync(root, { recursive: true, force: true }));

let runs = 0;
/** A run of two tasks in which a setting of a task scores what `score` says of sample `index`. */
const runWith = (score: (method: string, task: string, index: number) => number, classes?: string[]): string => {
  const dir = join(root, String(runs++));
  const shape = { ...tinyShape, tasks: ['niah_single_1', 'vt'], methods: ['dense', 'random', 'oracle'], samples: 12 };
  writeSyntheticRun(dir, shape, {
    alter: (sample, cell): SampleRecord =>
      sample.status === 'ok'
        ? {
            ...sample,
            score: score(cell.method.id, cell.task, sample.index),
            ...(classes === undefined ? {} : { classes }),
          }
        : sample,
  });
  return dir;
};

test('a task that dense cannot do is too hard, one that it can is not; the controls stand beside it', () => {
  const rows = floorRows(summariseRun(runWith((method, task) => (method === 'random' || task === 'vt' ? 0 : 1))).cells);
  assert.deepEqual(
    rows.map((row) => [row.taskName, row.tooHard, floorNote(row), row.budget, row.chance]),
    [
      ['niah_single_1', false, '', '0.5', 0],
      ['vt', true, 'too hard for this model', '0.5', 0],
    ],
  );
  assert.deepEqual([rows[0]!.oracle?.mean, rows[0]!.random?.mean], [1, 0]);
});

test('chance is one in the number of classes, and a score must lie above it', () => {
  const half = (_: string, task: string, index: number) => (task === 'vt' ? index % 2 : index % 12 === 0 ? 0 : 1);
  const rows = floorRows(summariseRun(runWith(half, ['a', 'b'])).cells);
  assert.deepEqual(
    rows.map(({ taskName, chance, tooHard }) => [taskName, chance, tooHard]),
    [
      ['niah_single_1', 0.5, false],
      ['vt', 0.5, true],
    ],
  );
  assert.ok(floorNote(rows[0]!).includes('random above chance'));
});

test('one right answer among many says that the samples are too few; an oracle far below dense is told', () => {
  const rows = floorRows(
    summariseRun(runWith((method, task, index) => (method === 'oracle' ? 0 : task === 'vt' ? Number(index === 0) : 1)))
      .cells,
  );
  assert.match(floorNote(rows[1]!), /too hard for this model, or 12 samples are too few to tell/);
  assert.match(floorNote(rows[0]!), /oracle below dense/);
});

const right = (sample: SampleRecord, cell: CellFacts): SampleRecord =>
  sample.status === 'ok' ? { ...sample, score: cell.method.id === 'random' ? 0 : 1 } : sample;

test('a run of many rows prints those with a note, a run of the controls alone prints all', () => {
  const lengths = Array.from({ length: 14 }, (_, i) => 512 + i);
  const printed = (methods: string[]): string => {
    const dir = join(root, String(runs++));
    writeSyntheticRun(dir, { ...tinyShape, tasks: ['vt'], methods, lengths, samples: 12 }, { alter: right });
    return terminalFloor(summariseRun(dir), { colours: false })!;
  };
  assert.equal(printed(['dense', 'random', 'oracle']).split('\n').length, 2 + lengths.length);
  assert.equal(printed(['dense', 'random', 'oracle', 'snapkv']), 'Floor check: every task is above chance');
});

test('the table stands in the report and on the terminal', async () => {
  const dir = runWith((method, task) => (method === 'random' || task === 'vt' ? 0 : 1));
  const { summary } = await reportRun(dir);
  const report = readFileSync(runPaths(dir).report, 'utf8');
  assert.match(report, /## Floor check/);
  assert.match(report, /\| vt \| 512 \| query-aware \| 0\.5 \| 0\.00 \| 0\.00 \[.*too hard for this model \|/);
  const text = terminalFloor(summary, { colours: false })!;
  assert.match(text, /^Floor check: 1 of 2 rows are too hard for this model\ntask +length +budget +chance +dense/);
  assert.ok(text.split('\n').every((line) => line.length <= 140 && line === line.trimEnd()));
});
