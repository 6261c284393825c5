import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { WinnowError } from '../core/errors.js';
import type { Engine, SampleRequest, SettingOutcome } from '../engine/contract.js';
import { defaultOpenOptions } from '../engine/index.js';
import type { ModelFacts } from '../methods/contract.js';
import { reportRun } from '../results/report.js';
import { listIds, readRunRecord, readTimingPass, runPaths } from '../results/run-files.js';
import type { TokenMeter } from './contract.js';
import { loadMethodFacts } from './method-facts.js';
import { planSuite } from './plan.js';
import { runConfiguration, runSuite, type SuiteRunOptions } from './run.js';
import { parseSuite } from './suite-file.js';
import { passIdOf } from './timing-passes.js';

const yaml = `
id: fake
version: 1
question: Does a run lose nothing?
samples: 3
lengths: [700, 900]
tasks: [{id: niah_single_1, maxNewTokens: 8}]
methods: [dense, snapkv]
keptFractions: [0.5]
`;

const layer = {
  mixer: 'softmax',
  numQueryHeads: 4,
  numKvHeads: 1,
  headDim: 16,
  headDimV: 16,
  ropeDims: 16,
  softmaxScale: 0.25,
  kvSource: 0,
  fixedStateBytes: 0,
  evictable: true,
} as const;
const facts: ModelFacts = {
  id: 'fake',
  sha256: 'a'.repeat(64),
  family: 'llama',
  numLayers: 1,
  hiddenSize: 64,
  vocabSize: 300,
  maxPositions: 4096,
  layers: [layer],
  elementBytes: 2,
};

const meter: TokenMeter = {
  tokenizer: 'words',
  count: (text) => text.split(/\s+/).filter((word) => word !== '').length,
  countPrompt: ({ context, question, answerPrefix }) => meter.count(`${context} ${question} ${answerPrefix}`),
};

/** Answers dense with the needle and the others with a number that depends on the sample alone. */
const answer = ({ prompt, settings }: SampleRequest): SettingOutcome[] =>
  settings.map(({ key, method }) => ({
    key,
    status: 'ok',
    text: method.id === 'dense' ? (/is: (\d+)/.exec(prompt.context)?.[1] ?? '') : 'nothing',
    tokenIds: [1, 2],
    finishReason: 'stop',
    promptTokens: meter.count(prompt.context),
    contextTokens: meter.count(prompt.context),
    kvCacheBytes: 640,
    kvCacheBytesPeak: 640,
    kvBytesReadPerStep: 640,
    expectedKvCacheBytes: 640,
    density: 1,
    auxiliaryTokens: 0,
    indexBytes: 0,
  }));

interface Fake {
  readonly evaluated: string[];
  opened: number;
  closed: number;
}

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
const newFolder = (): string => {
  const folder = path.join(mkdtempSync(path.join(tmpdir(), 'winnow-run-')), 'run');
  folders.push(path.dirname(folder));
  return folder;
};

const setUp = async (
  dir: string,
  respond: (request: SampleRequest) => SettingOutcome[] = answer,
): Promise<SuiteRunOptions & { fake: Fake }> => {
  const suite = await parseSuite(yaml, 'fake.yaml', tmpdir());
  const loaded = { suite, sha256: 'b'.repeat(64), file: 'fake.yaml', fileSha256: 'c'.repeat(64) };
  const factsOf = await loadMethodFacts(suite.methods, facts, suite.protocols);
  const plan = planSuite(suite, {
    modelSha256: facts.sha256,
    numerics: 'reference',
    facts: (method) => factsOf(method).plan,
  });
  const fake: Fake = { evaluated: [], opened: 0, closed: 0 };
  const engine: Engine = {
    facts,
    machine: { isa: 'scalar', threads: 1, activations: 'f32' },
    async evaluate(request) {
      fake.evaluated.push(`${request.prompt.context.length}/${request.sampleId}`);
      const outcomes = respond(request);
      return {
        sampleId: request.sampleId,
        outcomes,
        prefills: 1,
        prefillsUnshared: outcomes.length,
        nativeMs: 9,
        totalMs: 10,
      };
    },
    time: async () => ({
      prefillMs: 5,
      timeToFirstTokenMs: 6,
      decodeMsPerToken: 1,
      compressionMs: 0,
      generatedTokens: 16,
      peakResidentBytes: 0,
    }),
    calibrate: () => Promise.reject(new Error('not asked for')),
    evaluateBatch: () => Promise.reject(new Error('not asked for')),
    timeBatches: () => Promise.reject(new Error('not asked for')),
    generate: () => Promise.reject(new Error('not asked for')),
    score: () => Promise.reject(new Error('not asked for')),
    perplexity: () => Promise.reject(new Error('not asked for')),
    logits: () => Promise.reject(new Error('not asked for')),
    async close() {
      fake.closed++;
    },
  };
  return {
    fake,
    loaded,
    plan,
    dir,
    id: 'fake-run',
    configuration: runConfiguration(loaded, plan, facts, defaultOpenOptions, false),
    header: {
      command: 'npx winnow run fake.yaml',
      model: { id: 'fake', sha256: facts.sha256, bytes: 1 },
      suite: {
        id: suite.id,
        version: 1,
        fileSha256: loaded.fileSha256,
        resolvedSha256: loaded.sha256,
        resolved: JSON.parse(JSON.stringify(suite)),
      },
      seeds: { suite: 0 },
      numerics: 'reference',
      backend: 'cpu',
      isa: 'scalar',
      threads: 1,
    },
    pass: 'accuracy',
    traceKept: false,
    factsOf,
    openEngine: async () => {
      fake.opened++;
      return engine;
    },
    openMeter: () => meter,
    peakOf: async () => 1e6,
    createProgress: () => ({ group: () => {}, skip: () => {}, advance: () => {}, note: () => {}, end: () => {} }),
  };
};

const csvOf = async (dir: string): Promise<string> => readFileSync((await reportRun(dir)).csv, 'utf8');

test('a run evaluates each sample once, finishes every cell and closes the model', async () => {
  const options = await setUp(newFolder());
  const outcome = await runSuite(options);
  assert.deepEqual(outcome.cells, { planned: 4, finished: 4 });
  assert.equal(options.fake.evaluated.length, 6);
  assert.deepEqual([options.fake.opened, options.fake.closed], [1, 1]);
  const record = readRunRecord(options.dir);
  assert.equal(record.status, 'finished');
  assert.deepEqual([record.prefills, record.prefillsUnshared], [6, 12]);
  assert.ok(Math.abs(record.engineOverheadShare! - 0.1) < 1e-9);
  const rows = (await csvOf(options.dir)).split('\n');
  assert.ok(
    rows.some((row) => row.includes(',dense,') && row.includes(',3,1,')),
    'dense finds every needle',
  );
});

test('a finished run opens no model and counts nothing again', async () => {
  const dir = newFolder();
  await runSuite(await setUp(dir));
  const before = await csvOf(dir);
  const options = await setUp(dir);
  const outcome = await runSuite(options);
  assert.equal(outcome.resumed, true);
  assert.equal(options.fake.opened, 0);
  assert.equal(outcome.counts.prefills, 6);
  assert.equal(await csvOf(dir), before);
});

test('an interrupted run continues where it stopped and ends like one that was not interrupted', async () => {
  const dir = newFolder();
  const abort = new AbortController();
  let calls = 0;
  const options = await setUp(dir, (request) => {
    if (++calls === 4) abort.abort();
    return answer(request);
  });
  await assert.rejects(runSuite({ ...options, signal: abort.signal }), { name: 'AbortError' });
  assert.equal(options.fake.closed, 1);
  assert.equal(readRunRecord(dir).status, 'interrupted');
  const again = await setUp(dir);
  await runSuite(again);
  assert.equal(again.fake.evaluated.length, 2, 'four samples were on disk');
  const whole = newFolder();
  await runSuite(await setUp(whole));
  assert.equal(await csvOf(dir), await csvOf(whole));
});

test('a setting that fails is a record; the run goes on', async () => {
  const error = { code: 'ERR_CONTRACT', message: '[ERR_CONTRACT] snapkv: broken' };
  const options = await setUp(newFolder(), (request) =>
    answer(request).map((outcome, i) =>
      request.settings[i]?.method.id === 'snapkv' ? { key: outcome.key, status: 'failed', error } : outcome,
    ),
  );
  const outcome = await runSuite(options);
  assert.deepEqual(outcome.cells, { planned: 4, finished: 4 });
  const rows = (await csvOf(options.dir)).split('\n').filter((row) => row.includes(',snapkv,'));
  assert.equal(rows.length, 2);
  assert.ok(rows.every((row) => row.includes('failed') && row.includes('ERR_CONTRACT')));
});

test('a model that does not open ends the run with its error and leaves it to be continued, its code in the record', async () => {
  const dir = newFolder();
  const options = await setUp(dir);
  const broken = new WinnowError('ERR_MODEL_FORMAT', 'x.gguf', 'a header', 'noise');
  await assert.rejects(runSuite({ ...options, openEngine: () => Promise.reject(broken) }), {
    code: 'ERR_MODEL_FORMAT',
  });
  assert.deepEqual([readRunRecord(dir).status, readRunRecord(dir).failure], ['failed', 'ERR_MODEL_FORMAT']);
  await runSuite(await setUp(dir));
  assert.deepEqual([readRunRecord(dir).status, readRunRecord(dir).failure], ['finished', undefined]);
});

test('a timing pass adds times to the cells and is not repeated', async () => {
  const dir = newFolder();
  const options = await setUp(dir);
  await runSuite({ ...options, pass: 'both' });
  const { summary } = await reportRun(dir);
  assert.ok(summary.cells.every(({ times }) => times?.prefillMs === 5 && times.peakResidentBytes === 1e6));
  const again = await setUp(dir);
  await runSuite({ ...again, pass: 'timing' });
  assert.equal(again.fake.opened, 0);
  const [pass] = listIds(runPaths(dir).timings, '.json');
  const { load, protocol } = readTimingPass(dir, pass!);
  assert.ok(load !== undefined && load.before.average >= 0);
  assert.deepEqual(protocol, { warmups: 1, rounds: 5, tokens: 16, order: 'interleaved' });
});

test('a suite may say which groups are timed', async () => {
  const dir = newFolder();
  const options = await setUp(dir);
  const { suite } = options.loaded;
  const timed = { tasks: [suite.tasks[0]!.name], protocols: ['query-agnostic' as const] };
  await runSuite({ ...options, loaded: { ...options.loaded, suite: { ...suite, timed } }, pass: 'both' });
  assert.deepEqual(
    listIds(runPaths(dir).timings, '.json'),
    options.plan.groups
      .filter(({ taskName, protocol }) => taskName === timed.tasks[0] && protocol === 'query-agnostic')
      .map(passIdOf)
      .sort(),
  );
});
