import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sha256Hex } from '../core/canonical-json.js';
import { syntheticCells, syntheticOptions, tinyShape, writeSyntheticRun } from './fixtures/synthetic-run.js';
import { reportRun } from './report.js';
import { openRun } from './run-directory.js';
import { runPaths } from './run-files.js';
import { summariseRun } from './summary.js';
import { terminalTable } from './terminal-table.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-report-'));
after(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const newRun = (options: Parameters<typeof writeSyntheticRun>[2] = {}, shape = tinyShape): string => {
  const dir = join(root, `run-${folders++}`);
  writeSyntheticRun(dir, shape, options);
  return dir;
};

test('a report holds the protocol, model, machine, every cell with intervals, the charts and the command', async () => {
  const dir = newRun();
  const { skipped } = await reportRun(dir);
  const text = readFileSync(runPaths(dir).report, 'utf8');
  for (const words of [
    'query-aware',
    'synthetic-model',
    'Synthetic CPU',
    '8 (32 without sharing)',
    '![Score against measured KV cache bytes](charts/score-against-bytes.png)',
    '### kv_turns, 512 tokens, query-aware',
    'winnow run synthetic',
  ])
    assert.ok(text.includes(words), words);
  for (const { name } of skipped) assert.match(text, new RegExp(`No chart \`${name}\`: `));
  const [whole] = text.split('## Scores by turn');
  const rows = whole!.split('\n').filter((line) => /^\| (dense|random|snapkv|quest)/.test(line));
  assert.equal(rows.length, 4 + 8);
  for (const row of rows.filter((line) => !line.startsWith('| dense')))
    assert.match(row, /\d\.\d\d \[\d\.\d\d, \d\.\d\d\] \| [−+]?\d\.\d\d \[/);
  assert.ok(rows.filter((line) => line.startsWith('| random')).every((line) => line.startsWith('| random (c)')));
});

test('reporting again gives the same bytes, and checksums cover every file', async () => {
  const dir = newRun({ timings: true });
  await reportRun(dir);
  const before = fingerprint(dir);
  await reportRun(dir);
  assert.deepEqual(fingerprint(dir), before);
  const { files } = JSON.parse(readFileSync(runPaths(dir).checksums, 'utf8')) as {
    files: Record<string, { sha256: string }>;
  };
  for (const name of [
    'cells.csv',
    'report.md',
    'charts/latency-split.svg',
    'charts/latency-split.png',
    'charts/latency-split.vl.json',
  ])
    assert.equal(files[name]?.sha256, sha256Hex(readFileSync(join(dir, name))), name);
  writeSyntheticRun(dir, tinyShape);
  assert.deepEqual(fingerprint(dir), before);
});

test('a method that does not beat random at equal bytes is shown as such', async () => {
  const dir = newRun({
    alter: (sample, cell) => (sample.status === 'ok' && cell.method.id === 'snapkv' ? { ...sample, score: 0 } : sample),
  });
  await reportRun(dir);
  const rows = readFileSync(runPaths(dir).report, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| snapkv'));
  assert.ok(
    rows.some((line) => line.includes('**does not beat**')),
    rows.join('\n'),
  );
});

test('failed cells are listed with their reason and have no score anywhere', async () => {
  const dir = newRun({
    alter: (sample, cell) =>
      cell.method.id === 'quest'
        ? {
            sampleId: sample.sampleId,
            index: sample.index,
            status: 'unsupported',
            error: { code: 'ERR_UNSUPPORTED', message: 'needs <b>pages</b> | of 16' },
          }
        : sample,
  });
  const { summary } = await reportRun(dir);
  const text = readFileSync(runPaths(dir).report, 'utf8');
  assert.match(text, /## Cells without a score/);
  assert.match(text, /\| quest @ 0\.5 \| unsupported \| \\\[ERR_UNSUPPORTED\\\] needs &lt;b>pages&lt;\/b> \\\| of 16/);
  assert.match(terminalTable(summary, { colours: false }), /quest +0\.5 +.*0\/2/);
});

test('scores by turn stand in a table of their own, of tasks that have turns', async () => {
  const dir = newRun();
  await reportRun(dir);
  const [, section = ''] = readFileSync(runPaths(dir).report, 'utf8').split('## Scores by turn');
  const [table] = section.split('\n## ');
  assert.match(table!, /### kv_turns, 512 tokens, query-aware/);
  assert.match(table!, /\| compressed for \| turn 1 \| turn 2 \| turn 3 \|/);
  assert.match(table!, /\| snapkv \| 0\.5 \| context \| \d\.\d\d \| \d\.\d\d \| \d\.\d\d \|/);
  assert.ok(!table!.includes('niah_single_1'));
});

test('an unfinished run is reported as unfinished', async () => {
  const dir = join(root, 'unfinished');
  const run = openRun(syntheticOptions(dir, tinyShape));
  run.close('interrupted');
  const { skipped } = await reportRun(dir);
  assert.match(readFileSync(runPaths(dir).report, 'utf8'), /not finished\*\* \(interrupted\): 0 cells so far/);
  assert.deepEqual(skipped, []);
});

test('damaged, missing and added records are refused by name', async () => {
  const cell = syntheticCells(tinyShape)[0]!;
  const faults: readonly [string, (dir: string) => string][] = [
    ['changed cell', (dir) => change(runPaths(dir).cell(cell.cellId), (text) => text.replace('"n": 4', '"n": 40'))],
    ['truncated samples', (dir) => change(runPaths(dir).cellSamples(cell.cellId), (_, bytes) => bytes.subarray(0, 30))],
    ['missing samples', (dir) => remove(runPaths(dir).cellSamples(cell.cellId))],
    ['added cell', (dir) => add(runPaths(dir).cell('added'))],
    ['run record', (dir) => change(runPaths(dir).run, (text) => text.slice(0, -20))],
  ];
  for (const keepsChecksums of [true, false]) {
    for (const [name, damage] of faults) {
      const dir = newRun();
      const path = damage(dir);
      if (!keepsChecksums) rmSync(runPaths(dir).checksums);
      if (!keepsChecksums && name === 'changed cell') continue;
      await assert.rejects(
        reportRun(dir),
        (error: Error & { code?: string; exitCode?: number }) =>
          error.code === 'ERR_RECORD' && error.exitCode === 3 && error.message.includes(path),
        name,
      );
      assert.ok(!existsSync(runPaths(dir).csv));
    }
  }
});

test('a folder without a run and a run that is open are refused', async () => {
  await assert.rejects(reportRun(join(root, 'nowhere')), { code: 'ERR_MISSING', exitCode: 3 });
  const dir = newRun();
  const run = openRun(syntheticOptions(dir, tinyShape));
  await assert.rejects(reportRun(dir), { code: 'ERR_LOCKED' });
  run.close('finished');
});

test('the terminal table is plain without colours and fits 120 columns', () => {
  const summary = summariseRun(newRun());
  const long = {
    ...summary,
    cells: summary.cells.map((cell) => ({ ...cell, series: `${cell.series} with many parameters=0.123456789` })),
  };
  for (const table of [terminalTable(summary, { colours: false }), terminalTable(long, { colours: false })]) {
    assert.ok(!table.includes('\u001b'));
    for (const line of table.split('\n')) assert.ok(line.length <= 120, `${line.length}: ${line}`);
  }
  assert.ok(terminalTable(summary, { colours: true }).includes('\u001b['));
});

const remove = (path: string): string => {
  rmSync(path);
  return path;
};

const add = (path: string): string => {
  writeFileSync(path, '{}');
  return path;
};

const change = (path: string, edit: (text: string, bytes: Buffer) => string | Uint8Array): string => {
  const bytes = readFileSync(path);
  writeFileSync(path, edit(bytes.toString(), bytes));
  return path;
};

const fingerprint = (dir: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => [
        join(entry.parentPath, entry.name),
        sha256Hex(readFileSync(join(entry.parentPath, entry.name))),
      ]),
  );
