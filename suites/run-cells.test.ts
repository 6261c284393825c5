import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, WinnowError } from '../core/errors.js';
import type { Engine, SampleRequest, SettingOutcome, SettingResult } from '../engine/contract.js';
import { sampleSchema } from '../results/schema.js';
import type { PlannedCell, ResolvedSuite, Sample } from './contract.js';
import { type GroupRun, type RunSink, runGroup, type SampleEntry } from './run-cells.js';
import { groupCells, workOfSample } from './run-groups.js';
import { sampleRequest } from './run-requests.js';
import { promptHash } from './sample-record.js';

const cellOf = (method: string, contextLength = 1024): PlannedCell => ({
  cellId: `${method}-${contextLength}`,
  task: 'niah',
  taskName: 'niah',
  contextLength,
  method: { id: method, params: {} },
  protocol: 'query-aware',
});

const sampleOf = (index: number): Sample => ({
  id: `s${index}`,
  context: `context ${index}`,
  documents: [],
  question: 'where?',
  answerPrefix: '',
  references: ['here'],
  evidence: [],
  maxNewTokens: 8,
  stop: [],
  meta: {},
});

const result: SettingResult = {
  text: 'here',
  tokenIds: [1],
  finishReason: 'stop',
  promptTokens: 10,
  contextTokens: 8,
  kvCacheBytes: 100,
  kvCacheBytesPeak: 100,
  kvBytesReadPerStep: 100,
  expectedKvCacheBytes: 100,
  density: 1,
  auxiliaryTokens: 0,
  indexBytes: 0,
};

/** An engine whose settings answer what `answer` says, and that remembers what it was asked. */
const engineThat = (answer: (key: string, sampleId: string) => SettingOutcome) => {
  const asked: SampleRequest[] = [];
  const engine: Pick<Engine, 'evaluate'> = {
    async evaluate(request) {
      asked.push(request);
      const outcomes = request.settings.map(({ key }) => answer(key, request.sampleId));
      return {
        sampleId: request.sampleId,
        outcomes,
        prefills: 1,
        prefillsUnshared: outcomes.length,
        nativeMs: 9,
        totalMs: 10,
      };
    },
  };
  return { engine, asked };
};

const memorySink = () => {
  const entries: SampleEntry[] = [];
  const finished: string[] = [];
  const sampleOf = (cellId: string, sampleId: string) =>
    entries.flatMap((entry) => entry.samples[cellId] ?? []).find((record) => record.sampleId === sampleId);
  const sink: RunSink = {
    isFinished: (cellId) => finished.includes(cellId),
    sampleOf,
    append: (entry) => void entries.push(entry),
    finishCell: (cellId) => void finished.push(cellId),
  };
  return { sink, entries, finished };
};

const requestOf = (sample: Sample, cells: readonly PlannedCell[]): SampleRequest => ({
  sampleId: sample.id,
  seed: 0,
  prompt: { ...sample, chatTemplate: true },
  protocol: 'query-aware',
  settings: cells.map((cell) => ({ key: cell.cellId, method: cell.method })),
  maxNewTokens: 8,
  stop: [],
  traceKept: false,
});

const ok = (key: string): SettingOutcome => ({ key, status: 'ok', ...result });
const [group] = groupCells([cellOf('dense'), cellOf('snapkv')]);
const samples = [sampleOf(0), sampleOf(1), sampleOf(2)];
const scoreOf: GroupRun['scoreOf'] = (sample, { text }) => (sample.references.includes(text) ? 1 : 0);
const common = { group: group!, samples, requestOf, scoreOf };

test('a sample is evaluated once for all cells of its group, scored, and every cell is finished', async () => {
  const { engine, asked } = engineThat(ok);
  const { sink, entries, finished } = memorySink();
  await runGroup({ ...common, engine, sink });
  assert.equal(asked.length, 3);
  assert.deepEqual(
    asked[0]?.settings.map(({ key }) => key),
    ['dense-1024', 'snapkv-1024'],
  );
  assert.deepEqual(finished, ['dense-1024', 'snapkv-1024']);
  assert.equal(entries.length, 3);
  assert.deepEqual(entries[2]?.counts, { prefills: 1, prefillsUnshared: 2, nativeMs: 9, totalMs: 10 });
  const [record] = entries[2]?.samples['snapkv-1024'] ?? [];
  assert.ok(record?.status === 'ok');
  assert.deepEqual([record.sampleId, record.index, record.score, record.prediction], ['s2', 2, 1, 'here']);
});

test('a setting that fails ends its own cell with its error and the others go on', async () => {
  const error = { code: 'ERR_BUDGET', message: '[ERR_BUDGET] snapkv: too small' };
  const { engine, asked } = engineThat((key, id) =>
    key.startsWith('snapkv') && id === 's1' ? { key, status: 'unsupported', error } : ok(key),
  );
  const { sink, finished } = memorySink();
  await runGroup({ ...common, engine, sink });
  assert.deepEqual(
    asked.map(({ settings }) => settings.length),
    [2, 2, 1],
  );
  assert.deepEqual(finished, ['snapkv-1024', 'dense-1024']);
  assert.deepEqual(sink.sampleOf('snapkv-1024', 's1'), {
    sampleId: 's1',
    index: 1,
    promptHash: promptHash(samples[1]!),
    status: 'unsupported',
    error,
  });
});

test('samples and cells that are on disk are not evaluated again', async () => {
  const first = memorySink();
  await runGroup({ ...common, samples: samples.slice(0, 1), engine: engineThat(ok).engine, sink: first.sink });
  first.finished.splice(0, 2, 'dense-1024');
  const { engine, asked } = engineThat(ok);
  await runGroup({ ...common, engine, sink: first.sink });
  assert.deepEqual(
    asked.map(({ sampleId, settings }) => [sampleId, settings.map(({ key }) => key)]),
    [
      ['s1', ['snapkv-1024']],
      ['s2', ['snapkv-1024']],
    ],
  );
  assert.deepEqual(first.finished, ['dense-1024', 'snapkv-1024']);
});

test('a cell whose failure is on disk is finished without another evaluation', async () => {
  const error = { code: 'ERR_BUDGET', message: 'too small' };
  const { sink, entries, finished } = memorySink();
  const counts = { prefills: 1, prefillsUnshared: 1, nativeMs: 1, totalMs: 1 };
  entries.push({ counts, samples: { 'snapkv-1024': [{ sampleId: 's0', index: 0, status: 'failed', error }] } });
  const { engine, asked } = engineThat(ok);
  await runGroup({ ...common, engine, sink });
  assert.ok(asked.every(({ settings }) => settings.length === 1));
  assert.deepEqual(finished, ['snapkv-1024', 'dense-1024']);
});

test('a finished group generates no samples at all', async () => {
  const { sink, finished } = memorySink();
  finished.push('dense-1024', 'snapkv-1024');
  const never: Iterable<Sample> = {
    [Symbol.iterator]: () => {
      throw new Error('samples were read');
    },
  };
  await runGroup({ ...common, samples: never, engine: engineThat(ok).engine, sink });
});

const throws = (code: ErrorCode): Pick<Engine, 'evaluate'> => ({
  evaluate: async () => {
    throw new WinnowError(code, 'here', 'space', 0);
  },
});

test('an evaluation that throws ends the cells that took part in it, not the run', async () => {
  for (const [code, status] of [
    ['ERR_OUT_OF_MEMORY', 'out-of-memory'],
    ['ERR_UNSUPPORTED', 'unsupported'],
    ['ERR_INTERNAL', 'failed'],
  ] as const) {
    const { sink, finished } = memorySink();
    await runGroup({ ...common, engine: throws(code), sink });
    assert.deepEqual(finished, ['dense-1024', 'snapkv-1024']);
    const record = sink.sampleOf('snapkv-1024', 's0');
    assert.ok(record !== undefined && record.status !== 'ok');
    assert.deepEqual([record.status, record.error.code], [status, code]);
  }
});

test('a full disk and an interrupt end the run and finish no cell', async () => {
  for (const code of ['ERR_DISK', 'ERR_INTERRUPTED'] as const) {
    const { sink, finished } = memorySink();
    await assert.rejects(runGroup({ ...common, engine: throws(code), sink }), { code });
    assert.equal(finished.length, 0);
  }
});

test('after an abort no further sample starts and what was recorded stays', async () => {
  const abort = new AbortController();
  const { engine, asked } = engineThat((key) => {
    abort.abort();
    return ok(key);
  });
  const { sink, entries, finished } = memorySink();
  await assert.rejects(runGroup({ ...common, engine, sink, signal: abort.signal }), { name: 'AbortError' });
  assert.equal(asked.length, 1);
  assert.deepEqual(Object.keys(entries[0]?.samples ?? {}), ['dense-1024', 'snapkv-1024']);
  assert.equal(finished.length, 0);
});

test('an engine that forgets a setting fails that cell instead of losing it', async () => {
  const { engine } = engineThat(() => ok('dense-1024'));
  const { sink } = memorySink();
  await runGroup({ ...common, engine, sink });
  const record = sink.sampleOf('snapkv-1024', 's0');
  assert.ok(record?.status === 'failed');
  assert.equal(record.error.code, 'ERR_INTERNAL');
});

test('cells are grouped by task, length and protocol in planned order', () => {
  const groups = groupCells([
    cellOf('dense'),
    cellOf('dense', 4096),
    cellOf('tova'),
    { ...cellOf('tova'), protocol: 'query-agnostic' },
  ]);
  assert.deepEqual(
    groups.map(({ contextLength, protocol, cells }) => [contextLength, protocol, cells.length]),
    [
      [1024, 'query-aware', 2],
      [4096, 'query-aware', 1],
      [1024, 'query-agnostic', 1],
    ],
  );
  assert.equal(workOfSample(1000, 0), 0);
  assert.ok(workOfSample(1000, 12) > workOfSample(1000, 1));
});

test('what a model thinks of given text is recorded and scored', async () => {
  const given = { tokens: 2, logProbability: -1, greedyTokens: 1 };
  const { engine, asked } = engineThat((key) => ({ key, status: 'ok', ...result, given }));
  const { sink } = memorySink();
  await runGroup({ ...common, engine, sink, scoreOf: (_, outcome) => outcome.given!.greedyTokens / 2 });
  const record = sink.sampleOf('dense-1024', 's0');
  assert.ok(record?.status === 'ok');
  assert.deepEqual([record.given, record.score], [given, 0.5]);
  assert.deepEqual(sampleSchema.parse(record), record);
  assert.equal(asked.length, 3);
});

test('turns are scored one by one, the score is their mean, and each has its bytes, recall and facts', async () => {
  const turn = { ...result, evidenceRecall: 0.5 };
  const turns = [turn, { ...turn, text: 'there', kvCacheBytes: 120, evidenceRecall: 1 }, { ...turn, text: 'nowhere' }];
  const asked = ['there', 'elsewhere'].map((reference) => ({
    ...{ question: 'and?', answerPrefix: '', references: [reference], evidence: [], maxNewTokens: 4, stop: [] },
    meta: { asks: reference },
  }));
  const { engine } = engineThat((key) => ({ key, status: 'ok', ...result, turns, compressedFor: 'context' }));
  const { sink } = memorySink();
  await runGroup({ ...common, samples: [{ ...sampleOf(0), turns: asked }], engine, sink });
  const record = sampleSchema.parse(sink.sampleOf('dense-1024', 's0'));
  assert.ok(record.status === 'ok');
  assert.deepEqual(
    record.turns?.map(({ prediction, references, score, meta }) => [prediction, references[0], score, meta?.asks]),
    [
      ['here', 'here', 1, undefined],
      ['there', 'there', 1, 'there'],
      ['nowhere', 'elsewhere', 0, 'elsewhere'],
    ],
  );
  assert.equal(record.score, 2 / 3);
  assert.deepEqual([record.turns?.[1]?.kvCacheBytes, record.turns?.[1]?.evidenceRecall], [120, 1]);
  assert.equal(record.compressedFor, 'context');
});

test('a conversation with gold history hands the answer before, spaced as it goes on after its prefix', () => {
  const [turn] = [{ ...sampleOf(1), question: 'next?' }];
  const asked = { ...sampleOf(0), answerPrefix: 'It is', turns: [turn!, turn!] };
  const suite = { seed: 1, chatTemplate: true } as ResolvedSuite;
  const request = (sample: Sample) => sampleRequest(suite, group!, sample, group!.cells, false);
  assert.deepEqual(
    request({ ...asked, turnsContinue: 'gold' }).turns?.map(({ answered }) => answered),
    [' here', 'here'],
  );
  assert.deepEqual(
    request({ ...asked, turnsContinue: 'answer' }).turns?.map(({ answered }) => answered),
    [undefined, undefined],
  );
  assert.deepEqual([request(asked).turnsContinue, request(asked).turns?.length], [false, 2]);
  assert.equal(request(sampleOf(0)).turns, undefined);
});
