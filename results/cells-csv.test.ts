import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'csv-parse/sync';
import { cellsCsv, cellsCsvColumns } from './cells-csv.js';
import {
  quickstartShape,
  syntheticCells,
  syntheticOptions,
  tinyShape,
  writeSyntheticRun,
} from './fixtures/synthetic-run.js';
import { openRun } from './run-directory.js';
import { summariseRun } from './summary.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-csv-'));
after(() => rmSync(root, { recursive: true, force: true }));
const rowsOf = (dir: string): Record<string, string>[] => parse(cellsCsv(summariseRun(dir)), { columns: true });

const dir = join(root, 'plain');
writeSyntheticRun(dir, tinyShape);
const rows = rowsOf(dir);

test('the columns are those of the interface, in its order', () => {
  const binding =
    'cellId,status,suite,suiteVersion,model,modelSha256,task,contextLength,method,params,budgetAxis,budget,protocol,simulated,trained,numerics,n,score,scoreLow,scoreHigh,deltaDense,deltaLow,deltaHigh,evidenceRecall,density,kvCacheBytes,kvBytesReadPerStep,promptTokens,auxiliaryTokens,indexBytes,prefillMs,timeToFirstTokenMs,decodeMsPerToken,peakResidentBytes,peakDeviceBytes,error,kvBytesMovedPerStep,scoreByTurn,compressedFor,chance,evidenceAccess,useGivenAccess,rightKept,rightLost,wrongKept,wrongLost,decodeFloorMs,peakBatchRows,peakTokensPerSecond';
  assert.equal(cellsCsvColumns.join(','), binding);
  assert.equal(cellsCsv(summariseRun(dir)).split('\n')[0], binding);
});

test('numbers read back exactly and unmeasured quantities are empty', () => {
  const row = rows.find((candidate) => candidate.method === 'snapkv' && candidate.task === 'kv_turns')!;
  const { aggregates } = summariseRun(dir).cells.find(({ facts }) => facts.cellId === row.cellId)!.record;
  for (const column of ['score', 'scoreLow', 'scoreHigh', 'density', 'kvCacheBytes', 'evidenceRecall'] as const)
    assert.equal(Number(row[column]), aggregates?.[column], column);
  assert.deepEqual(
    [row.simulated, row.trained, row.auxiliaryTokens, row.prefillMs, row.peakDeviceBytes, row.error],
    ['false', 'false', '0', '', '', ''],
  );
});

test('the difference to dense is the mean of the paired differences, and dense has none', () => {
  for (const row of rows) {
    if (row.method === 'dense') {
      assert.deepEqual([row.deltaDense, row.deltaLow, row.deltaHigh, row.budget], ['', '', '', '']);
      continue;
    }
    const dense = rows.find((other) => other.method === 'dense' && other.task === row.task)!;
    assert.ok(Math.abs(Number(row.deltaDense) - (Number(row.score) - Number(dense.score))) < 1e-9);
    assert.ok(Number(row.deltaLow) <= Number(row.deltaDense) && Number(row.deltaDense) <= Number(row.deltaHigh));
  }
});

test('negative numbers stay numbers while text that begins like a formula is defused', () => {
  assert.ok(rows.some((row) => Number(row.deltaDense) < 0 && !row.deltaDense!.startsWith("'")));
  const evil = join(root, 'evil');
  const run = openRun(syntheticOptions(evil, tinyShape));
  const cell = { ...syntheticCells(tinyShape)[0]!, method: { id: '=HYPERLINK("http://x","y")', params: {} } };
  run.finishCell(cell, { status: 'failed', error: { code: 'ERR_X', message: 'a "quoted", two\nline text' } });
  run.close('finished');
  const [row] = rowsOf(evil);
  assert.equal(row!.method, `'=HYPERLINK("http://x","y")`);
  assert.equal(row!.error, '[ERR_X] a "quoted", two line text');
  assert.deepEqual([row!.score, row!.n, row!.kvCacheBytes], ['', '0', '']);
});

test('rows are sorted by task, length, protocol, method and budget, and the text is the same for the same run', () => {
  const big = join(root, 'big');
  writeSyntheticRun(
    big,
    { ...quickstartShape, protocols: ['query-aware', 'query-agnostic'], samples: 2 },
    { timings: true },
  );
  const sorted = rowsOf(big);
  const key = (row: Record<string, string>): string =>
    [row.task, row.contextLength!.padStart(7, '0'), row.protocol, row.method, row.params, row.budget].join('\u0000');
  assert.deepEqual(sorted.map(key), sorted.map(key).sort());
  assert.equal(sorted.length, 8 * 2 * (1 + 2 * 12));
  assert.ok(sorted.every((row) => Number(row.prefillMs) > 0 && Number(row.timeToFirstTokenMs) > Number(row.prefillMs)));
  assert.equal(cellsCsv(summariseRun(big)), cellsCsv(summariseRun(big)));
});

test('a paired difference to random exists only at equal measured bytes on the axis of the budget', () => {
  const summary = summariseRun(join(root, 'big'));
  const find = (method: string, budget: string) =>
    summary.cells.find(({ facts, budget: label }) => facts.method.id === method && label === budget)!;
  assert.notEqual(find('snapkv', '0.5').againstRandom, 'none');
  assert.notEqual(find('quest', '0.5').againstRandom, 'none');
  assert.equal(find('bm25-top-k', '0.5').againstRandom, 'none');
  assert.equal(find('oracle', '0.5').againstRandom, undefined);
});

test('failed samples fail their cell in the table while others keep their scores', () => {
  const broken = join(root, 'broken');
  writeSyntheticRun(broken, tinyShape, {
    alter: (sample, cell) =>
      cell.method.id === 'quest' && sample.index === 2
        ? {
            sampleId: sample.sampleId,
            index: 2,
            status: 'out-of-memory',
            error: { code: 'ERR_OUT_OF_MEMORY', message: '[ERR_OUT_OF_MEMORY] quest: expected x' },
          }
        : sample,
  });
  for (const row of rowsOf(broken)) {
    if (row.method !== 'quest') assert.equal(row.status, 'ok');
    else
      assert.deepEqual(
        [row.status, row.score, row.n, row.error!.startsWith('[ERR_OUT_OF_MEMORY] quest')],
        ['out-of-memory', '', '3', true],
      );
  }
});

test('cells with turns show the score of each turn and what their caches were compressed for; others leave it empty', () => {
  const rows = rowsOf(dir);
  const { samples } = summariseRun(dir).cells.find(
    ({ facts }) => facts.task === 'kv_turns' && facts.method.id === 'snapkv',
  )!;
  const means = [0, 1, 2].map((turn) =>
    samples.reduce(
      (sum, sample) => sum + (sample.status === 'ok' ? sample.turns![turn]!.score : 0) / samples.length,
      0,
    ),
  );
  const row = rows.find(({ task, method }) => task === 'kv_turns' && method === 'snapkv')!;
  assert.deepEqual([row.scoreByTurn, row.compressedFor], [means.join(' '), 'context']);
  assert.ok(rows.every(({ task, scoreByTurn }) => (task === 'kv_turns') === (scoreByTurn !== '')));
});
