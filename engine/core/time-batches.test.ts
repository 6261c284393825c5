import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { WinnowError } from '../../core/errors.js';
import { contrast } from '../../methods/fixtures/contrast.js';
import { lookupDraft } from '../../methods/fixtures/lookup-draft.js';
import { resolveMethod } from '../../methods/load.js';
import type { Addon, CacheId } from '../../native/addon-types.js';
import { hostBinary, hostSkip } from '../../native/cuda/test/host-backend.js';
import type { BackendName, BatchTiming, BatchTimingRequest } from '../contract.js';
import { openLocal } from '../local.js';
import type { TimedBatch } from '../timing-contract.js';
import { writeTinyModel } from '../tiny-model.js';
import { largestBatch, MOST_BATCH_ROWS } from './largest-batch.js';

const folder = mkdtempSync(join(tmpdir(), 'winnow-batches-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const model = writeTinyModel(folder, { layers: 2, queryHeads: 4, kvHeads: 2, headDim: 16, seed: 3 });
process.env.WINNOW_CUDA_BINARY = hostBinary;

const open = (backend: BackendName, wrapAddon: (addon: Addon) => Addon = (addon) => addon) =>
  openLocal(model, {
    ...{ backend, numerics: 'native', isa: 'auto', threads: 1, prefillChunk: 64, wrapAddon },
    resolveMethod: async (ref) => [contrast, lookupDraft].find(({ id }) => id === ref.id) ?? resolveMethod(ref),
    cancelled: () => {},
  });

const request = (id: string, sizes: BatchTimingRequest['sizes'], memoryBytes?: number): BatchTimingRequest => ({
  sampleId: 's',
  seed: 1,
  prompt: {
    context: 'sun river stone light garden winter letter market bridge '.repeat(9),
    question: ' Which?',
    answerPrefix: ' It is',
    documents: [],
    evidence: [],
    chatTemplate: false,
  },
  protocol: 'query-aware',
  maxNewTokens: 6,
  stop: [],
  sizes,
  setting: {
    key: id,
    method: { id, params: id === 'quest' ? { denseLayers: 0 } : {} },
    ...(['snapkv', 'tova', 'quest'].includes(id) ? { tokenBudget: 96 } : {}),
  },
  ...(memoryBytes === undefined ? {} : { memoryBytes }),
});

const addonHeld = (addon: Addon): number => addon.memory().weightBytes + addon.memory().tensorBytes;

const done = (timing: BatchTiming | undefined): TimedBatch => {
  assert.ok(timing?.status === 'ok', JSON.stringify(timing));
  return timing;
};

const backends: { backend: BackendName; skip: string | false }[] = [
  { backend: 'cpu', skip: false },
  { backend: 'cuda', skip: hostSkip },
];

for (const { backend, skip } of backends)
  describe(`batches of one setting on ${backend}`, { skip }, () => {
    test('every row has a cache of its own, and all are read in every step', async () => {
      const engine = open(backend);
      try {
        for (const id of ['dense', 'snapkv', 'tova', 'quest']) {
          const timings = await engine.timeBatches(request(id, [1, 2, 5]));
          const [one, two, five] = timings.map(done);
          assert.deepEqual([one!.rows, two!.rows, five!.rows], [1, 2, 5]);
          assert.ok(timings.every((timing) => done(timing).steps === 5 && done(timing).stepMs > 0));
          assert.equal(two!.kvCacheBytes, 2 * one!.kvCacheBytes);
          assert.equal(five!.kvBytesReadPerStep, 5 * one!.kvBytesReadPerStep);
          if (backend === 'cuda')
            assert.ok(five!.peakDeviceBytes! - two!.peakDeviceBytes! >= 3 * one!.kvCacheBytes, `${id} shares pages`);
        }
        assert.equal(engine.context.device.addon.memory().cacheBytes, 0);
      } finally {
        engine.close();
      }
    });

    test('the largest batch fills the memory it is told, with more rows where a method keeps less', async () => {
      const engine = open(backend);
      try {
        const addon = engine.context.device.addon;
        const before = addonHeld(addon);
        const row = done((await engine.timeBatches(request('dense', [1])))[0]).kvCacheBytes;
        // Weights, the scratch of a step, and some rows.
        const memory = Math.round(before + 1.5e6 + 12 * row);
        const dense = done((await engine.timeBatches(request('dense', ['largest'], memory)))[0]);
        const snapkv = done((await engine.timeBatches(request('snapkv', ['largest'], memory)))[0]);
        assert.ok(dense.rows >= 2 && dense.rows < 40, `${dense.rows} rows`);
        assert.ok(snapkv.rows > 2 * dense.rows || snapkv.rows === MOST_BATCH_ROWS, `${snapkv.rows} rows`);
        assert.deepEqual([dense.memoryBytes, dense.halvedFrom], [memory, undefined]);
        if (backend === 'cuda') {
          assert.ok(
            dense.peakDeviceBytes! <= memory && dense.peakDeviceBytes! > 0.8 * memory,
            `${dense.peakDeviceBytes}`,
          );
        }
        assert.equal(addon.memory().cacheBytes, 0);
      } finally {
        engine.close();
      }
    });

    test('a batch for which memory runs out is halved until it fits, and nothing of the attempts stays', async () => {
      let live = new Set<CacheId>();
      const engine = open(backend, (addon) => ({
        ...addon,
        cacheCopy(cache) {
          if (live.size === 5)
            throw new WinnowError('ERR_OUT_OF_MEMORY', 'cacheCopy', 'memory for pages', 'none', 'Use fewer.');
          const copy = addon.cacheCopy(cache);
          live.add(copy);
          return copy;
        },
        cacheFree(cache) {
          live.delete(cache);
          addon.cacheFree(cache);
        },
      }));
      try {
        const [fixed, largest] = await engine.timeBatches(request('snapkv', [7, 'largest'], 2 ** 40));
        assert.equal(fixed!.status, 'out-of-memory');
        assert.deepEqual([done(largest).rows, done(largest).halvedFrom], [4, 64]);
        assert.deepEqual([...live], []);
        assert.equal(engine.context.device.addon.memory().cacheBytes, 0);
        live = new Set();
        const small = Math.round(addonHeld(engine.context.device.addon) + 1e6);
        const [many] = await engine.timeBatches(request('dense', [60], small));
        assert.ok(many?.status === 'out-of-memory' && /at most the \d+ rows that fit/.test(many.error.message));
        const [none] = await engine.timeBatches(request('dense', ['largest'], 1000));
        assert.ok(none?.status === 'out-of-memory' && /1000 bytes.*--memory/.test(none.error.message));
      } finally {
        engine.close();
      }
    });

    test('methods whose steps do not give every row one token are refused', async () => {
      const engine = open(backend);
      try {
        for (const { id } of [contrast, lookupDraft])
          await assert.rejects(engine.timeBatches(request(id, [2])), { code: 'ERR_UNSUPPORTED' });
      } finally {
        engine.close();
      }
    });
  });

test('the largest batch of a backend without memory of its own needs a stated one', async () => {
  const engine = open('cpu');
  try {
    const [timing] = await engine.timeBatches(request('dense', ['largest']));
    assert.ok(timing?.status === 'unsupported' && /--memory/.test(timing.error.message));
  } finally {
    engine.close();
  }
});

test('rows fit while all decode, and while the prompt of the last one is fed', () => {
  const row = { held: 100, copy: 9, growth: 1, prefillPeak: 100 };
  assert.equal(largestBatch(101, row), 1);
  assert.equal(largestBatch(110, row), 1);
  assert.equal(largestBatch(111, row), 2);
  assert.equal(largestBatch(100, row), 0);
  assert.equal(largestBatch(190, { ...row, prefillPeak: 150 }), 5);
  assert.equal(largestBatch(1e6, row), MOST_BATCH_ROWS);
  assert.equal(largestBatch(120, { ...row, copy: Number.POSITIVE_INFINITY }), 1);
});
