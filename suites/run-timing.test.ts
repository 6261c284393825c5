import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WinnowError } from '../core/errors.js';
import type { TimingOutcome } from '../engine/contract.js';
import type { PlannedCell, Sample } from './contract.js';
import { TIMED_ROUNDS, type TimingRun, timeGroup } from './run-timing.js';

const cells: PlannedCell[] = ['dense', 'snapkv', 'quest'].map((id) => ({
  cellId: id,
  task: 'niah',
  taskName: 'niah',
  contextLength: 1024,
  method: { id, params: {} },
  protocol: 'query-aware',
}));
const sample = {
  id: 's0',
  context: '',
  documents: [],
  question: '',
  answerPrefix: '',
  references: [],
  evidence: [],
  maxNewTokens: 8,
  stop: [],
  meta: {},
} satisfies Sample;

const timingRun = (order: string[]): TimingRun => ({
  group: { taskName: 'niah', contextLength: 1024, protocol: 'query-aware', cells },
  sample,
  engine: {
    async time({ setting }): Promise<TimingOutcome> {
      order.push(setting.key);
      return {
        prefillMs: order.length,
        timeToFirstTokenMs: 2,
        decodeMsPerToken: 3,
        compressionMs: 4,
        generatedTokens: 8,
        peakResidentBytes: 1,
      };
    },
  },
  requestOf: (one, setting) => ({
    sampleId: one.id,
    seed: 0,
    prompt: { ...one, chatTemplate: true },
    protocol: 'query-aware',
    maxNewTokens: 8,
    stop: [],
    setting,
  }),
  settingOf: ({ cellId, method }) => ({ key: cellId, method }),
  peakOf: async ({ setting }) => (setting.key === 'quest' ? undefined : 77),
});

test('settings are timed interleaved, each round starting one further along, and the warm-up round is not kept', async () => {
  const order: string[] = [];
  const timings = await timeGroup(timingRun(order));
  assert.deepEqual(order.slice(0, 9), [
    'dense',
    'snapkv',
    'quest',
    'snapkv',
    'quest',
    'dense',
    'quest',
    'dense',
    'snapkv',
  ]);
  assert.equal(order.length, 3 * (TIMED_ROUNDS + 1));
  assert.equal(timings.length, 3 * TIMED_ROUNDS);
  assert.ok(
    timings.every(({ prefillMs }) => prefillMs > 3),
    'no time of the first three calls',
  );
  for (const { cellId } of cells) {
    assert.deepEqual(
      timings.filter((timing) => timing.cellId === cellId).map(({ repeat }) => repeat),
      Array.from({ length: TIMED_ROUNDS }, (_, repeat) => repeat),
    );
  }
});

test('a suite may measure fewer rounds, and warm up with the first setting alone', async () => {
  const order: string[] = [];
  const timings = await timeGroup({ ...timingRun(order), rounds: 2, warmUp: 'first' });
  assert.deepEqual(order, ['dense', 'snapkv', 'quest', 'dense', 'quest', 'dense', 'snapkv']);
  assert.deepEqual([...new Set(timings.map(({ repeat }) => repeat))], [0, 1]);
  assert.equal(timings.length, 6);
  assert.ok(
    timings.every(({ prefillMs }) => prefillMs > 1),
    'nothing of the call that warmed up',
  );
});

test('the state of a device is read right before and after each setting, and is absent without one', async () => {
  let reads = 0;
  const device = { begin: () => assert.fail('of a pass'), state: () => ({ smClockMhz: reads++ }) };
  const timings = await timeGroup({ ...timingRun([]), rounds: 1, device });
  assert.deepEqual(
    timings.map(({ device: read }) => [read?.before?.smClockMhz, read?.after?.smClockMhz]),
    // The round that warmed up took the first six.
    [
      [6, 7],
      [8, 9],
      [10, 11],
    ],
  );
  assert.ok((await timeGroup(timingRun([]))).every((timing) => !('device' in timing)));
});

test('peak memory comes from a process of its own and is absent where it was not measured', async () => {
  const timings = await timeGroup(timingRun([]));
  assert.equal(timings.find(({ cellId }) => cellId === 'dense')?.peakResidentBytes, 77);
  assert.ok(!('peakResidentBytes' in timings.find(({ cellId }) => cellId === 'quest')!));
});

test('a setting that cannot be timed is left out with its reason and the others are timed', async () => {
  const run = timingRun([]);
  const reasons: string[] = [];
  const timings = await timeGroup({
    ...run,
    engine: {
      async time(request) {
        if (request.setting.key === 'snapkv') throw new WinnowError('ERR_UNSUPPORTED', 'snapkv', 'a clock', 'none');
        return run.engine.time(request);
      },
    },
    onUntimed: ({ cellId }, { code }) => reasons.push(`${cellId} ${code}`),
  });
  assert.deepEqual(reasons, ['snapkv ERR_UNSUPPORTED']);
  assert.equal(timings.length, 2 * TIMED_ROUNDS);
});

test('an abort ends the pass between two measurements', async () => {
  const abort = new AbortController();
  const order: string[] = [];
  const run = timingRun(order);
  await assert.rejects(
    timeGroup({ ...run, signal: abort.signal, onRound: () => (order.length > 0 ? abort.abort() : undefined) }),
    {
      name: 'AbortError',
    },
  );
  assert.equal(order.length, 2);
});
