import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { timesByCell } from './cell-times.js';
import { cellRows, cellsCsvColumns } from './cells-csv.js';
import { tokensByBatch } from './charts/tokens-by-batch.js';
import { clockRemarks } from './device-clocks.js';
import { tinyShape, writeSyntheticRun } from './fixtures/synthetic-run.js';
import { renderChart } from './render.js';
import { batchSections } from './report-batches.js';
import { deviceTimeSections } from './report-time.js';
import { type BatchRecord, type TimingPass, timingPassSchema } from './schema.js';
import { type RunSummary, summariseRun } from './summary.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-report-device-'));
after(() => rmSync(root, { recursive: true, force: true }));
writeSyntheticRun(join(root, 'run'), tinyShape);
const plain = summariseRun(join(root, 'run'));
const [task] = tinyShape.tasks;
const group = plain.cells.filter(({ facts }) => facts.taskName === task);
const dense = group.find(({ facts }) => facts.method.id === 'dense')!;
const snapkv = group.find(({ facts }) => facts.method.id === 'snapkv')!;
const [denseId, snapkvId] = [dense.facts.cellId, snapkv.facts.cellId];

/** 4 GB of weights at 1000 GB/s: 4 ms, and 1 ms for each GB of KV. */
const pass = (batches: TimingPass['batches'], clocks: readonly number[] = [1980, 1980]): TimingPass =>
  timingPassSchema.parse({
    schemaVersion: 1,
    passId: 'pass',
    machine: plain.run.machine,
    device: { copyGigabytesPerSecond: 1000, weightBytesPerStep: 4e9 },
    timings: [denseId, snapkvId].map((cellId, i) => ({
      ...{ cellId, sampleId: 's', repeat: 0, prefillMs: 9, compressionMs: 1, timeToFirstTokenMs: 10 },
      ...{ decodeMsPerToken: 8, generatedTokens: 16, peakDeviceBytes: 2 ** 30 },
      device: { before: { smClockMhz: 1980, memoryClockMhz: 2619 }, after: { smClockMhz: clocks[i]! } },
    })),
    ...(batches === undefined ? {} : { batches }),
  });

const batch = (cellId: string, asked: number | 'largest', rows: number, stepMs: number, kv: number): BatchRecord => ({
  ...{ cellId, sampleId: 's', asked, status: 'ok', rows, stepMs, meanStepMs: stepMs, steps: 15 },
  ...{ kvCacheBytes: kv, kvBytesReadPerStep: kv, peakDeviceBytes: 4e9 + kv },
  ...(asked === 'largest' ? { memoryBytes: 64 * 2 ** 30 } : {}),
});

const withPass = (one: TimingPass): RunSummary => ({
  ...plain,
  cells: plain.cells.map((cell) => {
    const times = timesByCell([one])(cell.record);
    return times === undefined ? cell : { ...cell, times };
  }),
});

const batched = withPass(
  pass([
    batch(denseId, 1, 1, 6, 1e9),
    batch(denseId, 'largest', 4, 10, 4e9),
    batch(snapkvId, 1, 1, 5, 0.1e9),
    batch(snapkvId, 'largest', 40, 12, 4e9),
    {
      cellId: snapkvId,
      sampleId: 's',
      asked: 64,
      status: 'out-of-memory',
      error: { code: 'ERR_X', message: 'no *room*' },
    },
  ]),
);

test('a run without a device or batches has neither section, and no chart of batches', () => {
  assert.deepEqual([deviceTimeSections(plain.cells), batchSections(plain.cells)], [[], []]);
  const timed = withPass(pass(undefined));
  assert.deepEqual(batchSections(timed.cells), []);
  assert.equal(tokensByBatch(timed, 'query-aware', ['query-aware']), undefined);
});

test('decode on a device stands beside the time of reading weights and cache', () => {
  const protocol = {
    ...{ warmups: 1, rounds: 3, tokens: 16, order: 'interleaved' as const, warmUp: 'first' as const },
    processWarmUpTokens: 96,
  };
  const [, , , how, table] = deviceTimeSections(withPass({ ...pass(undefined), protocol }).cells);
  assert.match(how!, /^3 rounds of 16 tokens.*the first setting once for all, after 96 tokens/);
  const kv = dense.record.aggregates!.kvBytesReadPerStep;
  const floor = (4e9 + kv) / 1e9;
  const row = table!.split('\n').find((line) => line.startsWith('| dense'))!;
  assert.ok(row.includes(`| 8.00 | 1.00× | ${floor.toFixed(2)} | ${(8 / floor).toFixed(2)} |`), row);
});

test('batches are shown by tokens per second, over their floors and beside dense of the same size', () => {
  const [title, how, , table, untimed] = batchSections(batched.cells);
  assert.equal(title, '## Batches');
  assert.match(how!, /65536 MiB/);
  const rows = table!.split('\n').map((line) => line.split('|').map((word) => word.trim()));
  const cellsOf = (label: string, size: string) =>
    rows.find(([, name, , shown]) => name === label && shown === size)!.slice(4, 11);
  // 4 rows in 10 ms are 400 tokens/s; 4 + 4 GB take 8 ms.
  assert.deepEqual(cellsOf('dense', '4 (largest)'), ['10.00', '2.500', '400', '8.00', '1.25', '1.00×', '1.00']);
  // 3333 tokens/s are 8.33 times 400; the floors allow 10 times.
  assert.deepEqual(cellsOf('snapkv', '40 (largest)'), ['12.00', '0.300', '3333', '8.00', '1.50', '8.33×', '0.83']);
  assert.match(untimed!, /No batch of 64 for snapkv.*no \\\*room\\\*/);
});

test('the table of cells has the largest batch, and nothing where none was timed', () => {
  const rows = cellRows(batched);
  const valuesOf = (id: string, names: readonly string[]) =>
    names.map((name) => rows.find((row) => row[0] === id)![cellsCsvColumns.indexOf(name)]);
  assert.deepEqual(valuesOf(denseId, ['peakBatchRows', 'peakTokensPerSecond']), [4, 400]);
  assert.ok(rows.some((row) => row[cellsCsvColumns.indexOf('peakBatchRows')] === undefined));
});

test('the chart has a line for each setting and a dashed one for its floor, and is drawn without warnings', async () => {
  const chart = tokensByBatch(batched, 'query-aware', ['query-aware'])!;
  const [panel] = (chart.spec as unknown as { concat: { height: number; layer: { data: { values: object[] } }[] }[] })
    .concat;
  assert.equal(panel!.height, 200);
  assert.deepEqual(
    panel!.layer.map(({ data }) => data.values.length),
    [4, 4],
  );
  assert.deepEqual(panel!.layer[1]!.data.values[1], { setting: 'dense', rows: 4, tokens: 400, floor: 500 });
  const { svg } = await renderChart(chart.spec);
  for (const word of ['Tokens per second by batch', 'dense', 'snapkv @', 'rows that decode together'])
    assert.ok(svg.includes(word), word);
});

test('clocks that fell by more than a twentieth are told, with the setting after which they were lowest', () => {
  assert.deepEqual(clockRemarks(plain.cells), []);
  assert.deepEqual(clockRemarks(withPass(pass(undefined, [1980, 1890])).cells), []);
  const [remark, ...more] = clockRemarks(withPass(pass(undefined, [1980, 1780])).cells);
  assert.match(remark!, /multiprocessors from 1980 to 1780 MHz \(10 %\), lowest right after snapkv/);
  // The memory clock was read before only.
  assert.deepEqual(more, []);
  const report = deviceTimeSections(withPass(pass(undefined, [1980, 1780])).cells);
  assert.ok(report.includes(remark!));
});
