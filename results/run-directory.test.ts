import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { sha256Hex } from '../core/canonical-json.js';
import { assertSameRecords } from './fixtures/compare-runs.js';
import {
  syntheticCells,
  syntheticOptions,
  syntheticSample,
  tinyShape,
  writeSyntheticRun,
} from './fixtures/synthetic-run.js';
import { openRun, runIdOf } from './run-directory.js';
import { readCellRecord, readCellSamples, readRunRecord, runPaths } from './run-files.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-run-'));
after(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const newFolder = (): string => join(root, `run-${folders++}`);
const cells = syntheticCells(tinyShape);
const first = cells[0]!;

test('a finished run holds its configuration, its provenance, every cell with all samples, and checksums of every file', () => {
  const dir = newFolder();
  writeSyntheticRun(dir, tinyShape, { timings: true });
  const record = readRunRecord(dir);
  assert.equal(record.status, 'finished');
  assert.equal(record.machine.cpu, 'Synthetic CPU');
  assert.deepEqual([record.prefills, record.prefillsUnshared], [8, 32]);
  assert.ok(Math.abs(record.engineOverheadShare! - 0.1) < 1e-12);
  for (const { cellId } of cells)
    assert.equal(readCellSamples(dir, readCellRecord(dir, cellId)).length, tinyShape.samples);
  const { files } = JSON.parse(readFileSync(runPaths(dir).checksums, 'utf8')) as {
    files: Record<string, { sha256: string; bytes: number }>;
  };
  assert.equal(Object.keys(files).length, 1 + 2 * cells.length + 2);
  for (const [name, { sha256, bytes }] of Object.entries(files)) {
    assert.equal(sha256Hex(readFileSync(join(dir, name))), sha256);
    assert.equal(statSync(join(dir, name)).size, bytes);
  }
  const leftovers = readdirSync(dir, { recursive: true })
    .map(String)
    .filter((name) => /\.(lock|tmp)|partial/.test(name));
  assert.deepEqual(leftovers, []);
});

test('the same command on a finished run changes no byte', () => {
  const dir = newFolder();
  writeSyntheticRun(dir, tinyShape);
  const before = readFileSync(runPaths(dir).run, 'utf8');
  writeSyntheticRun(dir, tinyShape);
  assert.equal(readFileSync(runPaths(dir).run, 'utf8'), before);
});

test('sample files hold no time: gzip header bytes are fixed and lines are sorted by index', () => {
  const dir = newFolder();
  const run = openRun(syntheticOptions(dir, tinyShape));
  for (const index of [2, 0, 1]) run.appendSamples(first.cellId, [syntheticSample(first, index)]);
  run.finishCell(first);
  run.close('interrupted');
  const bytes = readFileSync(runPaths(dir).cellSamples(first.cellId));
  assert.deepEqual([...bytes.subarray(0, 10)], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
  const indices = gunzipSync(bytes)
    .toString()
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { index: number }).index);
  assert.deepEqual(indices, [0, 1, 2]);
});

test('an interrupted run goes on at sample level and ends with the same cells as one that was not', () => {
  const whole = newFolder();
  writeSyntheticRun(whole, tinyShape);
  const parts = newFolder();
  for (let stopAt = 1; ; stopAt += 3) {
    let steps = 0;
    try {
      writeSyntheticRun(parts, tinyShape, {
        pause: () => {
          if (++steps > stopAt) throw new Error('stop');
        },
      });
      break;
    } catch (error) {
      assert.equal((error as Error).message, 'stop');
      releaseAll(parts);
    }
  }
  assertSameRecords(parts, whole);
});

test('another configuration in the same folder is refused with what differs', () => {
  const dir = newFolder();
  writeSyntheticRun(dir, tinyShape);
  assert.throws(() => openRun(syntheticOptions(dir, tinyShape, 8)), {
    code: 'ERR_RECORD',
    exitCode: 3,
    message: /seed: 7 -> 8.*--out/s,
  });
  assert.throws(() => openRun(syntheticOptions(dir, { ...tinyShape, lengths: [1024] })), {
    message: /suite\.lengths\[0\]: 512 -> 1024/,
  });
});

test('a folder with other things in it is not taken for a run', () => {
  const dir = newFolder();
  mkdirSync(dir);
  writeFileSync(join(dir, 'thesis.docx'), '');
  assert.throws(() => openRun(syntheticOptions(dir, tinyShape)), { code: 'ERR_RECORD', message: /thesis\.docx/ });
  assert.deepEqual(readdirSync(dir), ['thesis.docx']);
});

test('a finished cell is never written again', () => {
  const dir = newFolder();
  const run = openRun(syntheticOptions(dir, tinyShape));
  run.appendSamples(first.cellId, [syntheticSample(first, 0)]);
  run.finishCell(first);
  assert.throws(() => run.finishCell(first), { code: 'ERR_RECORD', message: /never overwritten/ });
  assert.throws(() => run.appendSamples(first.cellId, [syntheticSample(first, 1)]), { code: 'ERR_RECORD' });
  run.close('interrupted');
});

test('a cell that cannot be run is recorded with its reason and without aggregates', () => {
  const dir = newFolder();
  const run = openRun(syntheticOptions(dir, tinyShape));
  run.finishCell(first, { status: 'unsupported', error: { code: 'ERR_UNSUPPORTED', message: 'no' } });
  run.close('finished');
  const record = readCellRecord(dir, first.cellId);
  assert.deepEqual([record.status, record.n, record.aggregates], ['unsupported', 0, undefined]);
});

test('a torn last journal line is cut off and its sample is taken as never done', () => {
  const dir = newFolder();
  const run = openRun(syntheticOptions(dir, tinyShape));
  run.appendSamples(first.cellId, [syntheticSample(first, 0)]);
  run.close('interrupted');
  for (const torn of ['{"samples":{"x":[{"sam', '{"samples":{"x"\n']) {
    appendFileSync(runPaths(dir).journal, torn);
    const again = openRun(syntheticOptions(dir, tinyShape));
    assert.deepEqual(
      again.samples(first.cellId).map((sample) => sample.index),
      [0],
    );
    again.close('interrupted');
  }
  const third = openRun(syntheticOptions(dir, tinyShape));
  third.appendSamples(first.cellId, [syntheticSample(first, 1)]);
  third.close('interrupted');
  assert.equal(readFileSync(runPaths(dir).journal, 'utf8').trim().split('\n').length, 2);
});

test('a damaged journal line before the last is refused with its number', () => {
  const dir = newFolder();
  const run = openRun(syntheticOptions(dir, tinyShape));
  for (const index of [0, 1]) run.appendSamples(first.cellId, [syntheticSample(first, index)]);
  run.close('interrupted');
  const { journal } = runPaths(dir);
  writeFileSync(journal, readFileSync(journal, 'utf8').replace('"score"', '"scorn"'));
  assert.throws(() => openRun(syntheticOptions(dir, tinyShape)), {
    code: 'ERR_RECORD',
    message: /unfinished\.jsonl\.partial:1/,
  });
});

test('damaged records are refused by name when the run goes on', () => {
  const damage = [
    [(dir: string) => runPaths(dir).run, '"status": "finished"', '"status": "finish"'],
    [(dir: string) => runPaths(dir).cell(first.cellId), '"n": 4', '"n": 5'],
  ] as const;
  for (const [pathOf, before, now] of damage) {
    const dir = newFolder();
    writeSyntheticRun(dir, tinyShape);
    const path = pathOf(dir);
    const content = readFileSync(path, 'utf8');
    assert.ok(content.includes(before));
    writeFileSync(path, content.replace(before, now));
    assert.throws(
      () => openRun(syntheticOptions(dir, tinyShape)),
      (error: Error & { code?: string }) => error.code === 'ERR_RECORD' && error.message.includes(path),
    );
  }
  const dir = newFolder();
  writeSyntheticRun(dir, tinyShape);
  rmSync(runPaths(dir).checksums);
  const samples = runPaths(dir).cellSamples(first.cellId);
  writeFileSync(samples, readFileSync(samples).subarray(0, 40));
  assert.throws(
    () => openRun(syntheticOptions(dir, tinyShape)),
    (error: Error & { code?: string }) => error.code === 'ERR_RECORD' && error.message.includes(samples),
  );
});

test('counts of prefills survive interruptions and later openings', () => {
  const dir = newFolder();
  for (const index of [0, 1, 2]) {
    const run = openRun(syntheticOptions(dir, tinyShape));
    run.appendPrompt({ [first.cellId]: [syntheticSample(first, index)] }, { prefills: 1, prefillsUnshared: 4 });
    if (index === 1) run.finishCell(first);
    run.close('interrupted');
    assert.equal(readRunRecord(dir).prefills, index + 1);
    if (index === 1) break;
  }
  assert.ok(!existsSync(runPaths(dir).journal));
  const second = cells[1]!;
  const run = openRun(syntheticOptions(dir, tinyShape));
  run.appendPrompt({ [second.cellId]: [syntheticSample(second, 0)] }, { prefills: 1, prefillsUnshared: 4 });
  assert.deepEqual([run.counts.prefills, run.counts.prefillsUnshared], [3, 12]);
  run.close('interrupted');
  const last = openRun(syntheticOptions(dir, tinyShape));
  assert.equal(last.counts.prefills, 3);
  last.close('interrupted');
});

test('a start by other code is noted once it writes', () => {
  const dir = newFolder();
  const options = syntheticOptions(dir, tinyShape);
  openRun(options).close('interrupted');
  const changed = { ...options, provenance: { ...options.provenance!, code: { version: '0.2.0' } } };
  const run = openRun(changed);
  run.appendSamples(first.cellId, [syntheticSample(first, 0)]);
  run.close('interrupted');
  const { code, continuations } = readRunRecord(dir);
  assert.equal(code.version, '0.1.0');
  assert.deepEqual(
    continuations.map((start) => start.code.version),
    ['0.2.0'],
  );
});

test('the id of a run follows from suite and configuration and is a safe folder name', () => {
  assert.equal(runIdOf('a', { x: 1, y: 2 }), runIdOf('a', { y: 2, x: 1 }));
  assert.notEqual(runIdOf('a', { x: 1 }), runIdOf('a', { x: 2 }));
  assert.match(runIdOf('../etc/x', {}), /^[A-Za-z0-9._-]+$/);
});

test('names that could be paths are refused', () => {
  const run = openRun(syntheticOptions(newFolder(), tinyShape));
  assert.throws(() => run.finishCell({ ...first, cellId: '../../escape' }));
  assert.throws(() => run.appendSamples('a/b', [syntheticSample(first, 0)]));
  run.close('interrupted');
});

const releaseAll = (dir: string): void => {
  for (const name of readdirSync(dir)) if (name.startsWith('.lock-')) rmSync(join(dir, name));
};
