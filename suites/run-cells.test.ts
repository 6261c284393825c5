import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WinnowError } from '../core/errors.js';
import type { Engine, SampleRequest, SettingOutcome, SettingResult } from '../engine/contract.js';
import type { PlannedCell, Sample } from './contract.js';
import { type CellFailure, type CellSink, runGroup } from './run-cells.js';
import { groupCells, workOfSample } from './run-groups.js';

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
  const samples: string[] = [];
  const finished = new Map<string, CellFailure | undefined>();
  const sink: CellSink = {
    isFinished: (cell) => finished.has(cell.cellId),
    hasSample: (cell, id) => samples.includes(`${cell.cellId}/${id}`),
    addSample: (cell, sample) => void samples.push(`${cell.cellId}/${sample.id}`),
    finishCell: (cell, failure) => void finished.set(cell.cellId, failure),
  };
  return { sink, samples, finished };
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

test('a sample is evaluated once for all cells of its group and every cell is finished', async () => {
  const { engine, asked } = engineThat(ok);
  const { sink, samples: written, finished } = memorySink();
  const totals = await runGroup({ group: group!, samples, engine, sink, requestOf });
  assert.equal(asked.length, 3);
  assert.deepEqual(
    asked[0]?.settings.map(({ key }) => key),
    ['dense-1024', 'snapkv-1024'],
  );
  assert.equal(written.length, 6);
  assert.deepEqual(
    [...finished],
    [
      ['dense-1024', undefined],
      ['snapkv-1024', undefined],
    ],
  );
  assert.deepEqual(totals, { prefills: 3, prefillsUnshared: 6, nativeMs: 27, totalMs: 30 });
});

test('a setting that fails ends its own cell with its error and the others go on', async () => {
  const error = { code: 'ERR_BUDGET', message: '[ERR_BUDGET] snapkv: too small' };
  const fails = (key: string, id: string): SettingOutcome =>
    key.startsWith('snapkv') && id === 's1' ? { key, status: 'failed', error } : ok(key);
  const { engine, asked } = engineThat(fails);
  const { sink, finished } = memorySink();
  await runGroup({ group: group!, samples, engine, sink, requestOf });
  assert.deepEqual(
    asked.map(({ settings }) => settings.length),
    [2, 2, 1],
  );
  assert.deepEqual(finished.get('snapkv-1024'), { status: 'failed', error });
  assert.equal(finished.get('dense-1024'), undefined);
  assert.ok(finished.has('dense-1024'));
});

test('samples and cells that are on disk are not evaluated again', async () => {
  const { engine, asked } = engineThat(ok);
  const { sink, samples: written, finished } = memorySink();
  finished.set('dense-1024', undefined);
  written.push('snapkv-1024/s0');
  await runGroup({ group: group!, samples, engine, sink, requestOf });
  assert.deepEqual(
    asked.map(({ sampleId, settings }) => [sampleId, settings.map(({ key }) => key)]),
    [
      ['s1', ['snapkv-1024']],
      ['s2', ['snapkv-1024']],
    ],
  );
});

test('a finished group generates no samples at all', async () => {
  const { engine } = engineThat(ok);
  const { sink, finished } = memorySink();
  for (const cell of group!.cells) finished.set(cell.cellId, undefined);
  const never: Iterable<Sample> = {
    [Symbol.iterator]: () => {
      throw new Error('samples were read');
    },
  };
  await runGroup({ group: group!, samples: never, engine, sink, requestOf });
});

test('an evaluation that throws ends the cells that took part in it, not the run', async () => {
  const engine: Pick<Engine, 'evaluate'> = {
    evaluate: async () => {
      throw new WinnowError('ERR_OUT_OF_MEMORY', 'cache', 'room', 0);
    },
  };
  const { sink, finished } = memorySink();
  await runGroup({ group: group!, samples, engine, sink, requestOf });
  assert.equal(finished.get('dense-1024')?.status, 'out-of-memory');
  assert.equal(finished.get('snapkv-1024')?.error.code, 'ERR_OUT_OF_MEMORY');
});

test('a full disk and an interrupt end the run and finish no cell', async () => {
  for (const code of ['ERR_DISK', 'ERR_INTERRUPTED'] as const) {
    const engine: Pick<Engine, 'evaluate'> = {
      evaluate: async () => {
        throw new WinnowError(code, 'here', 'space', 0);
      },
    };
    const { sink, finished } = memorySink();
    await assert.rejects(runGroup({ group: group!, samples, engine, sink, requestOf }), { code });
    assert.equal(finished.size, 0);
  }
});

test('after an abort no further sample starts and what was recorded stays', async () => {
  const abort = new AbortController();
  const { engine, asked } = engineThat((key) => {
    abort.abort();
    return ok(key);
  });
  const { sink, samples: written } = memorySink();
  await assert.rejects(runGroup({ group: group!, samples, engine, sink, requestOf, signal: abort.signal }), {
    name: 'AbortError',
  });
  assert.equal(asked.length, 1);
  assert.deepEqual(written, ['dense-1024/s0', 'snapkv-1024/s0']);
});

test('an engine that forgets a setting fails that cell instead of losing it', async () => {
  const { engine } = engineThat(() => ok('dense-1024'));
  const { sink, finished } = memorySink();
  await runGroup({ group: group!, samples, engine, sink, requestOf });
  assert.equal(finished.get('snapkv-1024')?.error.code, 'ERR_INTERNAL');
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
