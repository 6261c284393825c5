import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { WinnowError } from '../../core/errors.js';
import { type SyntheticShape, tinyShape, type WriteOptions, writeSyntheticRun } from '../fixtures/synthetic-run.js';
import { type RunRecords, readRunRecords } from '../run-records.js';
import type { CellFacts, SampleRecord, ScoredSample } from '../schema.js';
import { gate } from './gate.js';
import { gateAnnotations, gateJunit, gateMarkdown, gateText } from './gate-output.js';
import { parsePolicy } from './policy-file.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-gate-'));
after(() => rmSync(root, { recursive: true }));
let made = 0;
const runOf = (options: WriteOptions = {}, shape: SyntheticShape = tinyShape): RunRecords => {
  const dir = join(root, `run-${made++}`);
  writeSyntheticRun(dir, shape, options);
  return readRunRecords(dir);
};
const policy = (text = '') => parsePolicy(`version: 1\n${text}`, 'gate.yaml');
const today = '2026-11-26';
const judge = (baseline: RunRecords, candidate: RunRecords, text = '') =>
  gate([baseline], [candidate], policy(text), today);
/** Changes scored samples of one method. */
const changing =
  (method: string, change: (sample: ScoredSample) => Partial<ScoredSample>): NonNullable<WriteOptions['alter']> =>
  (sample: SampleRecord, cell: CellFacts) =>
    cell.method.id === method && sample.status === 'ok' ? { ...sample, ...change(sample) } : sample;

const base = runOf();

test('the same results pass, every check of every cell', () => {
  const report = judge(base, { ...base, dir: 'again' }, 'outputs: exact');
  assert.deepEqual([report.verdict, report.exitCode], ['pass', 0]);
  assert.deepEqual(new Set(report.rows.map(({ check }) => check)), new Set(['counted', 'outputs', 'quality']));
  assert.equal(report.rows.filter(({ check }) => check === 'outputs').length, base.cells.length);
  assert.match(gateText(report), /^pass: \d+ pass/);
});

test('one byte more in one sample is a regression that names it; within the tolerance, or fewer, it passes', () => {
  const more = runOf({
    alter: changing('snapkv', ({ index, kvCacheBytes }) => (index === 2 ? { kvCacheBytes: kvCacheBytes + 1 } : {})),
  });
  const report = judge(base, more);
  assert.deepEqual([report.verdict, report.exitCode, report.counts.regression], ['regression', 1, 2]);
  assert.match(report.rows[0]!.detail, /kvCacheBytes \d+ -> \d+ in sample \S+-2, worse in 1 of 4 samples/);
  assert.equal(judge(base, more, 'counted: {tolerance: 0.01}').exitCode, 0);
  const fewer = judge(more, base);
  assert.equal(fewer.exitCode, 0);
  assert.ok(fewer.rows.some(({ detail }) => detail.includes('improved: kvCacheBytes')));
});

test('less evidence recall is a regression, and a quantity that is not measured any more is missing', () => {
  const lost = runOf({ alter: changing('quest', () => ({ evidenceRecall: 0.01 })) });
  assert.equal(judge(base, lost).rows[0]!.quantity, 'evidenceRecall');
  assert.equal(judge(lost, base).exitCode, 0);
  const unmeasured = runOf({ alter: changing('quest', () => ({ evidenceRecall: undefined })) });
  assert.deepEqual([judge(base, unmeasured).verdict, judge(base, unmeasured).exitCode], ['missing', 3]);
});

test('a changed answer is a regression where outputs are held exactly, and none where only scores count', () => {
  const changed = runOf({ alter: changing('snapkv', ({ index }) => (index === 0 ? { prediction: 'other' } : {})) });
  const exact = judge(base, changed, 'outputs: exact');
  assert.deepEqual([exact.exitCode, exact.counts.regression], [1, 2]);
  assert.match(exact.rows[0]!.detail, /1 of 4 outputs changed, first sample \S+: "answer 0" -> "other"/);
  const scores = judge(base, changed);
  assert.ok(scores.rows.every(({ verdict }) => verdict !== 'regression'));
});

test('scores that a few samples cannot settle are inconclusive: exit code 4 unless the policy lets them pass', () => {
  const wrong = runOf({
    alter: changing('snapkv', ({ index, score }) => (index === 0 ? { score: 1 - score, prediction: 'other' } : {})),
  });
  const report = judge(base, wrong);
  assert.deepEqual([report.verdict, report.exitCode], ['inconclusive', 4]);
  assert.match(report.rows[0]!.detail, /pairs find .*, a loss of 0\.01 needs \d+/);
  assert.equal(judge(base, wrong, 'inconclusive: pass').exitCode, 0);
});

test('a loss that many samples show is a regression, per setting and per cell', () => {
  const shape = { ...tinyShape, samples: 60 };
  const right = runOf({ alter: changing('snapkv', () => ({ score: 1 })) }, shape);
  const wrong = runOf(
    { alter: changing('snapkv', ({ index }) => (index < 12 ? { score: 0, prediction: 'wrong' } : { score: 1 })) },
    shape,
  );
  const whole = judge(right, wrong);
  assert.deepEqual([whole.exitCode, whole.counts.regression], [1, 1]);
  assert.equal(whole.rows[0]!.setting, 'snapkv @ 0.5');
  assert.equal(judge(right, wrong, 'quality: {per: cell}').counts.regression, 2);
  assert.equal(judge(right, wrong, 'quality: {margin: 0.5}').exitCode, 0, 'within a margin of half the score');
  assert.equal(judge(wrong, right).exitCode, 0, 'a gain passes');
});

test('cells that are gone are missing, failed ones regressions, new ones a note', () => {
  const fewer = runOf({}, { ...tinyShape, methods: ['dense', 'random', 'snapkv'] });
  assert.deepEqual([judge(base, fewer).verdict, judge(base, fewer).exitCode], ['missing', 3]);
  assert.equal(judge(base, fewer, 'missing: pass').exitCode, 0);
  const more = judge(fewer, base);
  assert.equal(more.exitCode, 0);
  assert.match(more.notes[0]!, /2 cells are new: quest @ 0\.5/);
  const failed = runOf({
    alter: (sample, cell) =>
      cell.method.id === 'quest'
        ? {
            sampleId: sample.sampleId,
            index: sample.index,
            status: 'failed',
            error: { code: 'ERR_X', message: 'broke' },
          }
        : sample,
  });
  assert.equal(judge(base, failed).exitCode, 1);
  assert.match(judge(base, failed).rows[0]!.detail, /has no score any more: failed: broke/);
  assert.equal(judge(failed, base).exitCode, 0, 'what failed before may fail or run');
});

test('other models, numerics, unfinished runs and changed tasks are incomparable', () => {
  const changed = (fields: object): RunRecords => ({ ...base, run: { ...base.run, ...fields } as RunRecords['run'] });
  const renamed: RunRecords = {
    ...base,
    cells: base.cells.map(({ record, samples }) => ({
      record: { ...record, cell: { ...record.cell, cellId: `x${record.cell.cellId}` } },
      samples,
    })),
  };
  for (const [candidate, reason] of [
    [changed({ numerics: 'reference' }), /other numerics: native -> reference/],
    [changed({ status: 'interrupted' }), /interrupted/],
    [changed({ model: { ...base.run.model, sha256: 'f'.repeat(64) } }), /other model/],
    [changed({ suite: { ...base.run.suite, version: 9 } }), /version of suite/],
    [renamed, /record the baseline again/],
  ] as const) {
    const report = judge(base, candidate);
    assert.deepEqual([report.verdict, report.exitCode], ['incomparable', 3]);
    assert.match(report.rows[0]!.detail, reason);
  }
});

test('a method whose file changed is compared all the same while its dense stands', () => {
  const edited: RunRecords = {
    ...base,
    cells: base.cells.map(({ record, samples }) => ({
      record:
        record.cell.method.id === 'dense'
          ? record
          : { ...record, cell: { ...record.cell, cellId: `x${record.cell.cellId}` } },
      samples,
    })),
  };
  assert.equal(judge(base, edited).exitCode, 0);
});

test('a waiver holds through its day, names its owner, and notes when it has expired or is not needed', () => {
  const more = runOf({ alter: changing('snapkv', ({ kvCacheBytes }) => ({ kvCacheBytes: kvCacheBytes + 8 })) });
  const waive = (fields: string) => `waivers: [{${fields}, reason: padded keys, owner: ada, expires: 2026-11-26}]`;
  const held = judge(base, more, waive('method: snapkv, check: counted'));
  assert.deepEqual([held.exitCode, held.counts.waived], [0, 2]);
  assert.match(gateText(held), /waived .*\(waived by ada until 2026-11-26: padded keys\)/);
  assert.equal(judge(base, more, waive('method: snapkv, task: kv_turns')).counts.regression, 1);
  assert.equal(judge(base, more, waive('method: quest')).exitCode, 1);
  const late = gate([base], [more], policy(waive('method: snapkv')), '2026-11-27');
  assert.equal(late.exitCode, 1);
  assert.match(late.notes[0]!, /expired on 2026-11-26/);
  assert.match(judge(base, base, waive('method: quest')).notes[0]!, /not needed any more/);
});

test('policies are checked with file, line and near name', () => {
  for (const [text, message] of [
    ['qality: {}', /gate\.yaml:2:1 qality: expected a known key.*Did you mean quality/],
    ['quality: {margin: 0}', /quality\.margin: expected a number above 0/],
    ['counted: {quantities: [kvCacheByte]}', /Did you mean kvCacheBytes/],
    ['waivers: [{reason: x, owner: y, expires: 2026-01-01}]', /a waiver that names what it waives/],
    ['waivers: [{task: x, reason: x, owner: y, expires: soon}]', /expires/],
  ] as const)
    assert.throws(
      () => policy(text),
      (error) => error instanceof WinnowError && error.code === 'ERR_POLICY' && message.test(error.message),
      text,
    );
});

test('JUnit, Markdown and annotations hold every failure, escaped', () => {
  const hostile = runOf({
    alter: changing('snapkv', ({ index }) => (index === 0 ? { prediction: '<b>&"\u0001 100%\n::error::x' } : {})),
  });
  const report = judge(base, hostile, 'outputs: exact');
  const junit = gateJunit(report);
  assert.equal([...junit.matchAll(/<testcase /g)].length, report.rows.length);
  assert.match(junit, new RegExp(`failures="${report.counts.regression + report.counts.inconclusive}"`));
  assert.ok(junit.includes('&lt;b&gt;&amp;') && !junit.includes('<b>'));
  assert.ok(!gateMarkdown(report).includes('<b>'));
  const lines = gateAnnotations(report);
  assert.ok(lines.length <= 10 && lines.every((line) => /^::(error|warning|notice) title=[^:]*::[^\n]*$/.test(line)));
  assert.ok(lines[0]!.includes('100%25'));
});

test('times without a policy for them are not judged; without passes they are missing', () => {
  const timed = runOf({ timings: true });
  assert.ok(judge(timed, timed).rows.every(({ check }) => check !== 'time'));
  assert.equal(judge(base, timed, 'time: {}').exitCode, 3);
  const one = judge(timed, timed, 'time: {}');
  assert.deepEqual([one.exitCode, one.verdict], [4, 'inconclusive']);
  assert.match(one.rows[0]!.detail, /1 passes a side, \d+ needed/);
  const elsewhere = { ...timed, run: { ...timed.run, machine: { ...timed.run.machine, cpu: 'Other' } } };
  assert.deepEqual(judge(timed, elsewhere, 'time: {}').verdict, 'incomparable');
  const [h100, h200] = ['NVIDIA H100 80GB HBM3', 'NVIDIA H200'].map((name) => {
    const facts = {
      architecture: 'sm_90',
      driver: '13.0',
      runtime: '13.0',
      memoryBytes: 1,
      l2Bytes: 1,
      multiprocessors: 132,
    };
    return { ...timed, run: { ...timed.run, device: { ...facts, name } } };
  });
  assert.deepEqual(judge(h100!, h100!, 'time: {}').verdict, 'inconclusive');
  const apart = judge(h100!, h200!, 'time: {}');
  assert.deepEqual(apart.verdict, 'incomparable');
  assert.match(apart.rows[0]!.detail, /on NVIDIA H200, .*on NVIDIA H100 80GB HBM3, /);
});

test('ten passes a side of the same code pass, and one setting slowed in every pass is the regression', () => {
  const timed = runOf({ timings: true });
  const slowed = (factor: number, pass: number): RunRecords => {
    const snapkv = new Set(
      timed.cells.filter(({ record }) => record.cell.method.id === 'snapkv').map(({ record }) => record.cell.cellId),
    );
    return {
      ...timed,
      passes: timed.passes.map((one) => ({
        ...one,
        timings: one.timings.map((timing) => {
          // A machine that drifts, the same for neighbours, and a little noise of its own.
          const noise = 1 + 0.05 * Math.sin(pass) + 0.01 * Math.sin(1e3 * pass + 7 * factor + timing.decodeMsPerToken);
          const own = snapkv.has(timing.cellId) ? factor : 1;
          return { ...timing, decodeMsPerToken: timing.decodeMsPerToken * noise * own };
        }),
      })),
    };
  };
  const side = (factor: number) => Array.from({ length: 12 }, (_, pass) => slowed(factor, pass));
  const time = policy('time: {quantities: [decodeMsPerToken]}');
  assert.equal(gate(side(1), side(1), time, today).exitCode, 0);
  const report = gate(side(1), side(1.15), time, today);
  assert.equal(report.exitCode, 1);
  assert.ok(report.rows.filter(({ verdict }) => verdict === 'regression').every(({ method }) => method === 'snapkv'));
});
