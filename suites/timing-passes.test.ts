import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BatchTimingRequest, Engine, TimingRequest } from '../engine/contract.js';
import type { TimingPass } from '../results/schema.js';
import type { ResolvedSuite, Sample } from './contract.js';
import { planSuite } from './plan.js';
import type { DeviceWatch } from './run-timing.js';
import { parseSuite } from './suite-file.js';
import { PROCESS_WARM_UP_TOKENS, passIdOf, runTiming } from './timing-passes.js';

const SUITE = `id: timed
version: 1
question: How long does it take?
samples: 1
lengths: [512, 1k]
tasks: [niah_single_2, vt]
methods: [dense, snapkv, streaming-llm]
tokenBudgets: [64]
timed: {tasks: [vt], rounds: {1k: 1}, warmUp: first, batch: {sizes: [2], methods: [snapkv], lengths: [1k], memory: 1g}}
`;

const sample: Sample = {
  ...{ id: 's', context: 'c', documents: [], question: 'q', answerPrefix: '', references: [], evidence: [] },
  ...{ maxNewTokens: 4, stop: [], meta: {} },
};

const idle = { note: () => {}, skip: () => {}, advance: () => {}, group: () => {}, end: () => {} };

/** Passes as they are written, and what the engine was asked. */
const passesOf = async (suite: ResolvedSuite, device?: DeviceWatch) => {
  const plan = planSuite(suite, {
    modelSha256: '0'.repeat(64),
    numerics: 'native',
    facts: ({ id }) => ({ needsOwnPrefill: false, hasBudget: id !== 'dense' }),
  });
  const passes = new Map<string, Pick<TimingPass, 'timings' | 'protocol' | 'batches'>>();
  const asked: { times: TimingRequest[]; batches: BatchTimingRequest[] } = { times: [], batches: [] };
  const engine = {
    time: async (request: TimingRequest) => {
      asked.times.push(request);
      return {
        ...{ prefillMs: 1, timeToFirstTokenMs: 2, decodeMsPerToken: 3, compressionMs: 0, generatedTokens: 16 },
        peakResidentBytes: 1,
      };
    },
    timeBatches: async (request: BatchTimingRequest) => {
      asked.batches.push(request);
      const bytes = { kvCacheBytes: 1, kvBytesReadPerStep: 1 };
      return [{ asked: 2, status: 'ok', rows: 2, stepMs: 1, meanStepMs: 1, steps: 15, ...bytes }];
    },
  } as unknown as Engine;
  const untimed = await runTiming(
    {
      plan,
      loaded: { suite, file: 'x.yaml', fileSha256: '', sha256: '' },
      createProgress: () => idle,
      peakOf: async () => undefined,
      ...(device === undefined ? {} : { device }),
    },
    {
      finishedPasses: new Set<string>(),
      finishPass: (id, timings, how = {}) => passes.set(id, { timings, ...how }),
    },
    { engine: async () => engine, samplesOf: () => [sample] },
  );
  assert.deepEqual(untimed, []);
  return { plan, passes, asked };
};

test('a suite says which groups are timed, how often, and of which settings batches are', async () => {
  const { plan, passes, asked } = await passesOf(await parseSuite(SUITE, 'x.yaml', '.'));
  const timed = plan.groups.filter(({ taskName }) => taskName === 'vt');
  assert.equal(plan.groups.length, 4);
  assert.deepEqual([...passes.keys()], timed.map(passIdOf));
  const [short, long] = [...passes.values()];
  assert.deepEqual([short!.protocol?.rounds, long!.protocol?.rounds, long!.protocol?.warmUp], [5, 1, 'first']);
  // The first setting warms up for all: 1 + 5 rounds of three, 1 + 1 round of three.
  assert.equal(asked.times.length, 1 + 15 + 1 + 3);
  assert.deepEqual([short!.batches, long!.batches?.length], [undefined, 1]);
  assert.deepEqual(
    asked.batches.map(({ setting, sizes, memoryBytes }) => [setting.method.id, sizes, memoryBytes]),
    [['snapkv', [2], 2 ** 30]],
  );
});

test('on a device a process decodes for a while before anything is timed, and the records say so', async () => {
  const device: DeviceWatch = { state: () => undefined, begin: () => ({ after: () => ({ weightBytesPerStep: 1 }) }) };
  const { passes, asked } = await passesOf(await parseSuite(SUITE, 'x.yaml', '.'), device);
  const lengths = asked.times.map(({ maxNewTokens }) => maxNewTokens);
  assert.equal(lengths[0], PROCESS_WARM_UP_TOKENS);
  assert.ok(lengths.slice(1).every((tokens) => tokens === 16));
  assert.equal(lengths.length, 1 + 20);
  for (const { protocol } of passes.values()) assert.equal(protocol?.processWarmUpTokens, PROCESS_WARM_UP_TOKENS);
});
