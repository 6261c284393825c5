import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse as parseCsv } from 'csv-parse/sync';
import { WinnowError } from '../../core/errors.js';
import { mcnemarExact } from '../../core/statistics/paired-tests.js';
import { type SyntheticShape, tinyShape, type WriteOptions, writeSyntheticRun } from '../fixtures/synthetic-run.js';
import { type RunRecords, readRunRecords } from '../run-records.js';
import type { RunRecord, SampleRecord } from '../schema.js';
import { type CompareOptions, compareRuns } from './comparison.js';
import { comparisonCsv, comparisonMarkdown, comparisonTable } from './comparison-table.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-compare-'));
after(() => rmSync(root, { recursive: true }));
let made = 0;
const runOf = (shape: SyntheticShape = tinyShape, options: WriteOptions = {}): RunRecords => {
  const dir = join(root, `run-${made++}`);
  writeSyntheticRun(dir, shape, options);
  return readRunRecords(dir);
};
const options: CompareOptions = { margin: 0.01, alpha: 0.05 };
const withRun = (records: RunRecords, change: (run: RunRecord) => object): RunRecords => ({
  ...records,
  run: { ...records.run, ...change(records.run) } as RunRecord,
});
const withResolved = (records: RunRecords, fields: object): RunRecords =>
  withRun(records, ({ suite }) => ({ suite: { ...suite, resolved: { ...suite.resolved, ...fields } } }));
const codeOf = (body: () => unknown): [string, string] => {
  try {
    body();
  } catch (error) {
    assert.ok(error instanceof WinnowError);
    return [error.code, error.message];
  }
  assert.fail('nothing was thrown');
};

const wide: SyntheticShape = { ...tinyShape, tasks: ['niah_single_1'], samples: 60 };
/** Turns right answers of a method wrong (and says so in the score) for samples that `isHit` picks. */
const losing =
  (method: string, isHit: (index: number) => boolean): NonNullable<WriteOptions['alter']> =>
  (sample, cell): SampleRecord =>
    sample.status === 'ok' && cell.method.id === method && isHit(sample.index)
      ? { ...sample, score: 0, prediction: 'wrong' }
      : sample;
const right: NonNullable<WriteOptions['alter']> = (sample) =>
  sample.status === 'ok' ? { ...sample, score: 1 } : sample;

test('a run beside itself is the same in every cell', () => {
  const run = runOf();
  const { cells, settings, unpaired } = compareRuns([run, { ...run, dir: 'again' }], options);
  assert.equal(cells.length, run.cells.length);
  assert.ok([...cells, ...settings].every(({ verdict, p }) => verdict === 'same' && p === 1));
  assert.deepEqual(unpaired, []);
});

test('a loss in one method is worse there with the exact p of McNemar, and nowhere else', () => {
  const before = runOf(wide, { alter: right });
  const after = runOf(wide, { alter: (sample, cell) => losing('snapkv', (i) => i < 15)(right(sample, cell), cell) });
  const { cells, settings } = compareRuns([before, after], options);
  for (const rows of [cells, settings]) {
    const bad = rows.find(({ setting }) => setting === 'snapkv @ 0.5')!;
    assert.equal(bad.verdict, 'worse');
    assert.deepEqual([bad.pairs, bad.worse, bad.better, bad.test], [60, 15, 0, 'mcnemar']);
    assert.ok(Math.abs(bad.p - mcnemarExact(15, 0)) < 1e-15);
    assert.ok(Math.abs(bad.pAdjusted - rows.length * bad.p) < 1e-12, 'the smallest p takes the whole Holm factor');
    assert.ok(Math.abs(bad.difference.mean + 0.25) < 1e-12);
    assert.ok(bad.difference.low < -0.25 && bad.difference.high < -0.1);
    assert.deepEqual([bad.score, bad.otherScore], [0.75, 1]);
    assert.ok(rows.filter(({ setting }) => setting !== 'snapkv @ 0.5').every(({ verdict }) => verdict === 'same'));
  }
});

test('a gain is called better only where the suite claimed it before the run', () => {
  const before = runOf(wide, { alter: (sample, cell) => losing('snapkv', (i) => i < 15)(right(sample, cell), cell) });
  const after = runOf(wide, { alter: right });
  const verdict = (run: RunRecords) =>
    compareRuns([before, run], options).settings.find(({ setting }) => setting === 'snapkv @ 0.5')!.verdict;
  assert.equal(verdict(after), 'not worse');
  assert.equal(verdict(withResolved(after, { superiority: ['snapkv'] })), 'better');
});

test('a loss that the samples cannot settle is inconclusive, with what they could have settled', () => {
  const before = runOf(wide, { alter: right });
  const after = runOf(wide, { alter: (sample, cell) => losing('snapkv', (i) => i < 2)(right(sample, cell), cell) });
  const row = compareRuns([before, after], options).cells.find(({ setting }) => setting === 'snapkv @ 0.5')!;
  assert.equal(row.verdict, 'inconclusive');
  assert.ok(row.detectable! > 0.05 && row.detectable! < 0.25, `${row.detectable}`);
  assert.ok(row.pairsForMargin > 1_000, `${row.pairsForMargin}`);
});

test('one run compares its settings with dense, and with the times of the same pass', () => {
  const run = runOf(tinyShape, { timings: true });
  const { cells, settings } = compareRuns([run], options);
  assert.deepEqual(
    new Set(settings.map(({ setting }) => setting)),
    new Set(['random @ 0.5', 'snapkv @ 0.5', 'quest @ 0.5']),
  );
  assert.ok(cells.every(({ against }) => against === 'dense'));
  const snapkv = cells.find(({ setting }) => setting === 'snapkv @ 0.5')!;
  assert.ok(snapkv.ratios.kvCacheBytes! < 0.6);
  const { timeToFirstTokenMs } = snapkv.times!;
  assert.ok(timeToFirstTokenMs!.low <= timeToFirstTokenMs!.ratio && timeToFirstTokenMs!.ratio > 0.9);
  const againstRandom = compareRuns([run], { ...options, against: 'random' });
  assert.ok(againstRandom.cells.every(({ against }) => against === 'random @ 0.5'));
  assert.equal(codeOf(() => compareRuns([run], { ...options, against: 'randon' }))[0], 'ERR_USAGE');
});

test('times of two runs are never compared', () => {
  const [a, b] = [runOf(tinyShape, { timings: true }), runOf(tinyShape, { timings: true })];
  assert.ok(compareRuns([a, b], options).cells.every(({ times }) => times === undefined));
});

test('runs of other protocols, suites, seeds, tasks or samples are refused with the reason', () => {
  const run = runOf();
  const other = runOf({ ...tinyShape, protocols: ['query-agnostic'] });
  const refused: [RunRecords, RegExp][] = [
    [other, /protocols query-aware and query-agnostic/],
    [withRun(run, ({ suite }) => ({ suite: { ...suite, id: 'others' } })), /expected suite "synthetic", got "others"/],
    [withRun(run, ({ suite }) => ({ suite: { ...suite, version: 2 } })), /version of suite/],
    [withResolved(run, { seed: 9 }), /expected seed null, got 9/],
    [withResolved(run, { chatTemplate: false }), /chatTemplate/],
    [runOf({ ...tinyShape, tasks: ['other'] }), /no such cell to compare with/],
    [
      runOf(tinyShape, { alter: (sample) => (sample.status === 'ok' ? { ...sample, references: ['x'] } : sample) }),
      /sample niah_single_1-512-0: expected references/,
    ],
    [
      runOf(tinyShape, { alter: (sample) => (sample.status === 'ok' ? { ...sample, contextTokens: 9 } : sample) }),
      /context tokens/,
    ],
  ];
  for (const [against, reason] of refused) {
    const [code, message] = codeOf(() => compareRuns([run, against], options));
    assert.equal(code, 'ERR_INCOMPARABLE');
    assert.match(message, reason);
  }
});

test('what differs between comparable runs is named, and cells without a partner are counted', () => {
  const run = runOf();
  const fewer = runOf({ ...tinyShape, methods: ['dense', 'snapkv'] });
  const { others, unpaired } = compareRuns([fewer, withRun(run, () => ({ numerics: 'reference' }))], options);
  assert.deepEqual(others[0]!.differences, ['numerics: native -> reference']);
  assert.equal(unpaired.length, 4);
  assert.match(unpaired[0]!.reason, /no such cell/);
});

test('failed cells have no score and are left out with their reason', () => {
  const run = runOf();
  const broken = runOf(tinyShape, {
    alter: (sample, cell) =>
      cell.method.id === 'quest'
        ? {
            sampleId: sample.sampleId,
            index: sample.index,
            status: 'failed',
            error: { code: 'ERR_INTERNAL', message: 'it broke' },
          }
        : sample,
  });
  const { unpaired, cells } = compareRuns([run, broken], options);
  assert.ok(cells.every(({ setting }) => !setting.startsWith('quest')));
  assert.match(unpaired[0]!.reason, /no score: ERR_INTERNAL/);
});

test('CSV holds every row whole, Markdown and tables hold them rounded', () => {
  const comparison = compareRuns([runOf(tinyShape, { timings: true })], options);
  const csv = parseCsv(comparisonCsv(comparison), { columns: true }) as Record<string, string>[];
  assert.equal(csv.length, comparison.settings.length + comparison.cells.length);
  const last = comparison.cells.at(-1)!;
  assert.equal(Number(csv.at(-1)!.difference), last.difference.mean);
  assert.equal(Number(csv.at(-1)!.decodeMsPerTokenRatio), last.times!.decodeMsPerToken!.ratio);
  assert.equal(csv[0]!.task, '');
  const markdown = comparisonMarkdown(comparison);
  assert.ok(markdown.includes('## By task and length') && markdown.includes('## Times'));
  for (const table of [comparisonTable(comparison.settings, true), comparisonTable(comparison.cells, false)])
    assert.equal(new Set(table.map((row) => row.length)).size, 1);
  assert.equal(comparisonTable(comparison.cells, true)[0]![0], 'run');
});

test('the same runs give the same comparison', () => {
  const [a, b] = [runOf(wide), runOf(wide, { alter: losing('quest', (i) => i % 7 === 0) })];
  assert.deepEqual(compareRuns([a, b], options), compareRuns([a, b], options));
  assert.ok(readFileSync(join(a.dir, 'run.json')).length > 0);
});
