import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WinnowError } from '../core/errors.js';
import type { BatchTimingRequest } from '../engine/contract.js';
import { timingPassSchema } from '../results/schema.js';
import type { PlannedCell, Sample } from './contract.js';
import { type BatchRun, isBatched, timeBatchesOf } from './run-batches.js';

const cellOf = (id: string, contextLength = 1024): PlannedCell => ({
  cellId: id,
  task: 'niah',
  taskName: 'niah',
  contextLength,
  method: { id, params: {} },
  protocol: 'query-aware',
});
const sample = { id: 's0' } as Sample;
const timed = { stepMs: 2, meanStepMs: 3, steps: 15, kvCacheBytes: 10, kvBytesReadPerStep: 11 };

const runOf = (timeBatches: BatchRun['engine']['timeBatches']): BatchRun => ({
  cells: [cellOf('dense'), cellOf('snapkv')],
  sample,
  engine: { timeBatches },
  requestOf: ({ cellId }) => ({ setting: { key: cellId }, sizes: [1, 'largest'] }) as unknown as BatchTimingRequest,
});

test('batches are recorded size by size, with what the device said around each setting and why a size has no time', async () => {
  let reads = 0;
  const error = { code: 'ERR_OUT_OF_MEMORY', message: 'no room' };
  const records = await timeBatchesOf({
    ...runOf(async ({ setting }) => [
      { asked: 1, status: 'ok', rows: 1, ...timed },
      setting.key === 'dense'
        ? { asked: 'largest', status: 'out-of-memory', error }
        : { asked: 'largest', status: 'ok', rows: 9, ...timed, memoryBytes: 99, halvedFrom: 18 },
    ]),
    device: { begin: () => assert.fail('of a pass'), state: () => ({ smClockMhz: 1000 + reads++ }) },
  });
  assert.deepEqual(
    records.map((record) => [record.cellId, record.asked, record.status, 'device' in record && record.device]),
    [
      ['dense', 1, 'ok', { before: { smClockMhz: 1000 }, after: { smClockMhz: 1001 } }],
      ['dense', 'largest', 'out-of-memory', false],
      ['snapkv', 1, 'ok', { before: { smClockMhz: 1002 }, after: { smClockMhz: 1003 } }],
      ['snapkv', 'largest', 'ok', { before: { smClockMhz: 1002 }, after: { smClockMhz: 1003 } }],
    ],
  );
  timingPassSchema.shape.batches.parse(records);
});

test('a setting whose rows cannot be timed together is told, and the others are timed', async () => {
  const told: string[] = [];
  const records = await timeBatchesOf({
    ...runOf(async ({ setting }) => {
      if (setting.key === 'dense') throw new WinnowError('ERR_UNSUPPORTED', 'dense', 'one row', 'two');
      return [{ asked: 1, status: 'ok', rows: 1, ...timed }];
    }),
    onUntimed: ({ cellId }, { code }) => told.push(`${cellId} ${code}`),
  });
  assert.deepEqual(told, ['dense ERR_UNSUPPORTED']);
  assert.deepEqual(
    records.map(({ cellId }) => cellId),
    ['snapkv'],
  );
  const interrupted = runOf(() => Promise.reject(new WinnowError('ERR_INTERRUPTED', 'engine', 'to finish', 'a stop')));
  await assert.rejects(timeBatchesOf(interrupted), { code: 'ERR_INTERRUPTED' });
});

test('the largest batch of dense is timed for all others too, so that they compare row for row', async () => {
  const asked: [string, readonly unknown[]][] = [];
  const run = runOf(async ({ setting, sizes }) => {
    asked.push([setting.key, sizes]);
    return sizes.map((size) => ({ asked: size, status: 'ok', rows: size === 'largest' ? 3 : size, ...timed }));
  });
  await timeBatchesOf({ ...run, cells: ['quest', 'dense', 'snapkv'].map((id) => cellOf(id)) });
  assert.deepEqual(asked, [
    ['dense', [1, 'largest']],
    ['quest', [1, 3, 'largest']],
    ['snapkv', [1, 3, 'largest']],
  ]);
});

test('batches are for the methods and lengths that the suite names, or for all', () => {
  const cells = [cellOf('dense'), cellOf('dense', 2048), cellOf('quest')];
  const of = (batch: object) => cells.map((cell) => isBatched({ sizes: [1], ...batch }, cell));
  assert.deepEqual(of({}), [true, true, true]);
  assert.deepEqual(of({ methods: ['dense'] }), [true, true, false]);
  assert.deepEqual(of({ methods: ['dense'], lengths: [2048] }), [false, true, false]);
});
