/** What is done with run directories after a run: where they stand, other scores, parts put together, and the cache beside them. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { cacheEntries } from '../engine/cache-content.js';
import { writeTinyModel } from '../engine/tiny-model.js';
import { loadAddon } from '../native/index.js';
import { mergeRuns } from '../results/merge-runs.js';
import { repeatDifferences } from '../results/repeat.js';
import { listIds, readCellRecord, readCellSamples, readRunRecord, recordText, runPaths } from '../results/run-files.js';
import { lockRun } from '../results/run-lock.js';
import { runState, stateWord } from '../results/run-status.js';
import { scoreRun } from '../results/score-run.js';
import { summariseRun } from '../results/summary.js';
import { verifyRun } from '../results/verify.js';
import { rescore } from '../suites/rescore.js';
import { runWinnow } from './run-winnow.js';

const skip = (() => {
  try {
    loadAddon();
    return false;
  } catch {
    return 'the native addon is not built';
  }
})();

const root = mkdtempSync(join(tmpdir(), 'winnow-runs-'));
after(() => rmSync(root, { recursive: true, force: true }));
const [needles, questions, whole] = [join(root, 'needles'), join(root, 'questions'), join(root, 'whole')];

before(async () => {
  if (skip !== false) return;
  const model = writeTinyModel(join(root, 'model'));
  const run = async (tasks: string, out: string): Promise<void> => {
    const flags = ['--method', 'random', '--kept-fraction', '0.5', '--samples', '2', '--length', '2k'];
    const words = ['run', 'smoke', '--model', model, '--task', tasks, ...flags, '--out', out];
    const { code, stderr } = await runWinnow([...words, '--numerics', 'reference']);
    assert.equal(code, 0, stderr);
  };
  await run('niah_single_2', needles);
  await run('two_hop_qa', questions);
  await run('niah_single_2,two_hop_qa', whole);
});

let copies = 0;
const copyOf = (dir: string): string => {
  const copy = join(root, `copy-${copies++}`);
  cpSync(dir, copy, { recursive: true });
  return copy;
};
const csvOf = (dir: string): string => readFileSync(runPaths(dir).csv, 'utf8');

test('parts that were run apart are, put together, the run as a whole', { skip }, async () => {
  const out = join(root, 'merged');
  const { code, stdout, stderr } = await runWinnow(['merge', needles, '--with', questions, '--out', out]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /4 cells of 2 runs/);
  assert.equal(csvOf(out), csvOf(whole));
  const [merged, once] = [readRunRecord(out), readRunRecord(whole)];
  assert.deepEqual(merged.suite.resolved, once.suite.resolved);
  assert.equal(merged.configurationSha256, once.configurationSha256);
  assert.equal(merged.prefills, once.prefills);
  assert.deepEqual(
    merged.merged!.map(({ cells }) => cells),
    [2, 2],
  );
  assert.deepEqual(verifyRun(out, rescore).findings, []);
});

test('runs of another seed, and records that disagree, are not put together', { skip }, () => {
  const other = copyOf(questions);
  const record = readRunRecord(other);
  writeFileSync(runPaths(other).run, recordText({ ...record, seeds: { suite: 1 } }));
  rmSync(runPaths(other).checksums);
  assert.throws(() => mergeRuns([needles, other], join(root, 'no-1')), {
    code: 'ERR_RECORD',
    message: /seeds\.suite: 0 -> 1/,
  });
  const forged = copyOf(whole);
  const id = listIds(runPaths(forged).cells, '.json')[0]!;
  const cell = readCellRecord(forged, id);
  writeFileSync(runPaths(forged).cell(id), recordText({ ...cell, n: cell.n + 1 }));
  rmSync(runPaths(forged).checksums);
  assert.throws(() => mergeRuns([whole, forged], join(root, 'no-2')), { code: 'ERR_RECORD', message: /n: 2 -> 3/ });
  assert.throws(() => mergeRuns([needles, questions], whole), { code: 'ERR_RECORD', message: /an empty folder/ });
});

test('scoring again by the same rules changes nothing but the note of it', { skip }, async () => {
  const out = join(root, 'same');
  const { code, stdout, stderr } = await runWinnow(['score', whole, '--out', out]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^0 of 8 scores are other ones now/);
  assert.equal(csvOf(out), csvOf(whole));
  const { scored, ...rest } = readRunRecord(out);
  assert.deepEqual(rest, readRunRecord(whole));
  assert.match(scored!.runSha256, /^[0-9a-f]{64}$/);
  assert.deepEqual(verifyRun(out, rescore).findings, []);
});

test('by other rules every score, mean and interval is another one', { skip }, () => {
  const out = join(root, 'lenient');
  const change = scoreRun(whole, out, ({ task }) => (task === 'two_hop_qa' ? undefined : 1));
  assert.deepEqual([change.samples, change.changed, change.unknownTasks], [8, 4, ['two_hop_qa']]);
  for (const id of listIds(runPaths(out).cells, '.json')) {
    const record = readCellRecord(out, id);
    const wanted = record.cell.task === 'two_hop_qa' ? readCellRecord(whole, id).aggregates!.score : 1;
    assert.equal(record.aggregates!.score, wanted);
    assert.equal(readCellSamples(out, record).length, 2);
  }
});

test('a run gives the same again, and a difference is told with both values', { skip }, async () => {
  const out = join(root, 'again');
  const { code, stdout, stderr } = await runWinnow(['rerun', needles, '--out', out]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^2 of 2 cells are the same in every quantity but times\./);
  assert.equal(csvOf(out), csvOf(needles));
  assert.equal(readRunRecord(out).configurationSha256, readRunRecord(needles).configurationSha256);
  const [before, after] = [summariseRun(needles), summariseRun(out)];
  const [first, ...rest] = after.cells;
  const record = { ...first!.record, aggregates: { ...first!.record.aggregates!, score: 0.25 } };
  const [difference, ...more] = repeatDifferences(before, {
    ...after,
    cells: [{ ...first!, record }, ...rest.slice(1)],
  });
  const was = before.cells[0]!.record.aggregates!.score;
  assert.deepEqual(difference!.differences, [{ quantity: 'score', before: was, after: 0.25 }]);
  assert.equal(more[0]!.differences.find(({ quantity }) => quantity === 'status')!.after, undefined);
});

test('another model under the same name is refused by its hash', { skip }, async () => {
  const other = writeTinyModel(join(root, 'other-model'), { seed: 5 });
  const { code, stderr } = await runWinnow(['rerun', needles, '--out', join(root, 'no-3'), '--model', other]);
  assert.equal(code, 3, stderr);
  assert.match(stderr, /ERR_CHECKSUM\].*the model of the run/);
});

test('status tells running, killed and finished apart, and counts what is safe', { skip }, async () => {
  const { code, stdout } = await runWinnow(['status', whole]);
  assert.equal(code, 0);
  assert.match(stdout, /^smoke-[0-9a-f]{10}: finished\ncells {4}4 of 4 finished: 4 ok\n/);
  const dir = copyOf(whole);
  writeFileSync(runPaths(dir).run, recordText({ ...readRunRecord(dir), status: 'running' }));
  const id = listIds(runPaths(dir).cells, '.json')[0]!;
  const samples = readCellSamples(dir, readCellRecord(dir, id));
  rmSync(runPaths(dir).cell(id));
  writeFileSync(runPaths(dir).journal, `${JSON.stringify({ samples: { [id]: samples } })}\n{"samples": {"torn`);
  const killed = runState(dir);
  assert.equal(stateWord(killed), 'killed');
  assert.deepEqual([killed.cells.planned, killed.cells.finished, killed.pendingSamples], [4, 3, 2]);
  const lock = lockRun(dir);
  assert.equal(stateWord(runState(dir)), 'running');
  assert.equal(runState(dir).writer!.pid, process.pid);
  lock.release();
  assert.equal((await runWinnow(['status', root])).code, 3);
});

test('the cache is listed by kind, and pruned only where asked and with --yes', async () => {
  const folder = join(root, 'cache');
  const put = (name: string, text: string): void => {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), text);
  };
  put('models/small/weights.gguf', '12345');
  put('hub/org--name/config.json', '123');
  put('peers/venv/a', '1');
  put('accepted-licences.json', '[]');
  put('nvcc-1/bin/nvcc', '1234');
  utimesSync(join(folder, 'nvcc-1/bin/nvcc'), new Date('2020-01-01'), new Date('2020-01-01'));
  const listed = cacheEntries(folder).map(({ kind, name, bytes }) => `${kind} ${name} ${bytes}`);
  assert.deepEqual(listed.sort(), ['hub org--name 3', 'models small 5', 'other nvcc-1 4', 'peers peers 1']);
  const env = { WINNOW_CACHE: folder };
  const dry = await runWinnow(['cache', 'prune', '--older-than', '30'], { env });
  assert.match(dry.stdout, /other {2}nvcc-1/);
  assert.doesNotMatch(dry.stdout, /org--name/);
  assert.equal(cacheEntries(folder).length, 4);
  await runWinnow(['cache', 'prune', '--yes'], { env });
  assert.deepEqual(
    cacheEntries(folder).map(({ kind }) => kind),
    ['models', 'peers'],
  );
  assert.equal(readFileSync(join(folder, 'accepted-licences.json'), 'utf8'), '[]');
});
