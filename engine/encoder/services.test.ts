/** Prompt methods on real encoders, through the engine. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import type { SampleRequest, SettingRequest } from '../contract.js';
import { defaultOpenOptions, openEngine } from '../index.js';
import { writeTinyModel } from '../tiny-model.js';
import type { Encoder } from './encoder.js';
import { createEncoderServices } from './services.js';
import { writeTinyEncoder } from './tiny-encoder.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-services-'));
after(() => rmSync(root, { recursive: true, force: true }));

const naiveEncoder = (task: Encoder['task'], calls: string[][]): Encoder => ({
  task,
  maxTokens: 8,
  labels: [],
  async embed(texts) {
    calls.push([...texts]);
    return { value: texts.map((text) => Float32Array.of(text.length)), tokens: texts.map((text) => text.length) };
  },
  scorePairs: async (query, texts) => ({
    value: Float32Array.from(texts, (text) => text.length - query.length),
    tokens: texts.map((text) => text.length + query.length),
  }),
  classifyWords: async (text) => ({
    value: { labels: ['x'], spans: [{ start: 0, end: text.length }], shares: Float32Array.of(1) },
    tokens: [text.length],
  }),
  close: async () => undefined,
});

suite('encoder services', () => {
  test('tokens count for every call, work is done once; vectors are the caller’s own', async () => {
    const calls: string[][] = [];
    let opened = 0;
    const { open } = createEncoderServices(
      () => 0,
      async () => {
        opened++;
        return naiveEncoder('vectors', calls);
      },
    );
    const first = await open(['e']);
    const [vector] = await first.services.embed(['abc', 'abc', 'de'], 'single');
    vector![0] = -1;
    assert.equal(first.auxiliaryTokens(), 8);
    const second = await open(['e']);
    assert.deepEqual(await second.services.embed(['abc', 'f'], 'single'), [Float32Array.of(3), Float32Array.of(1)]);
    assert.equal(second.auxiliaryTokens(), 4, 'as if it were the only setting');
    assert.deepEqual([calls, opened], [[['abc', 'de'], ['f']], 1]);
  });

  test('each service uses the declared encoder of its task, and says what is missing', async () => {
    const { open } = createEncoderServices(
      () => 0,
      async (name) => naiveEncoder(name as 'vectors' | 'pairs', []),
    );
    const { services, auxiliaryTokens } = await open(['vectors', 'pairs', 'tokens']);
    assert.deepEqual(await services.rerank('ab', ['abc', 'a']), Float32Array.of(1, -1));
    assert.equal(auxiliaryTokens(), 5 + 3);
    assert.equal((await services.classifyWords('abcd')).shares[0], 1);
    assert.equal(auxiliaryTokens(), 5 + 3 + 4);
    await assert.rejects(services.embed(['a'], 'sparse'), { code: 'ERR_UNSUPPORTED' });
    const without = await open([]);
    await assert.rejects(without.services.embed(['a'], 'single'), { code: 'ERR_CONTRACT', message: /auxiliary/ });
  });

  test('an encoder that could not be opened is tried again', async () => {
    let tries = 0;
    const { open } = createEncoderServices(
      () => 0,
      async () => {
        if (tries++ === 0) throw new Error('not yet');
        return naiveEncoder('vectors', []);
      },
    );
    await assert.rejects(open(['e']), /not yet/);
    await open(['e']);
    assert.equal(tries, 2);
  });
});

test('dense retrieval on an encoder folder: the same on both backends, tokens and index counted, a missing one named', async () => {
  const model = writeTinyModel(join(root, 'model'));
  const embedder = writeTinyEncoder(join(root, 'encoder'));
  const documents = ['a b c d ', 'x y z ', '1 2 3 4 ', 'm n o '];
  const context = documents.join('');
  const spans = documents.map((text, i) => {
    const start = documents.slice(0, i).join('').length;
    return { start, end: start + text.length };
  });
  const setting = (key: string, keptFraction: number, params: object = { embedder }): SettingRequest => ({
    key,
    method: { id: 'dense-retrieval-top-k', params: { ...params } },
    keptFraction,
  });
  const request: SampleRequest = {
    sampleId: 's',
    seed: 1,
    prompt: {
      context,
      question: 'x y z',
      answerPrefix: '',
      documents: spans,
      evidence: [spans[1]!],
      chatTemplate: false,
    },
    protocol: 'query-aware',
    settings: [setting('half', 0.55), setting('all', 1), setting('missing', 0.5, { embedder: './no-such-folder' })],
    maxNewTokens: 4,
    stop: [],
    traceKept: false,
  };
  const answers = [];
  for (const backend of ['cpu', 'ort'] as const) {
    const engine = await openEngine(model, { ...defaultOpenOptions, numerics: 'reference', backend });
    try {
      answers.push((await engine.evaluate(request)).outcomes);
    } finally {
      await engine.close();
    }
  }
  assert.deepEqual(answers[1], answers[0]);
  const [half, all, missing] = answers[0]!;
  assert.ok(half!.status === 'ok' && all!.status === 'ok');
  assert.equal(half!.auxiliaryTokens, 4 + 3 + 4 + 3 + 3 + 5 * 2, 'documents, question and special tokens');
  assert.equal(half!.evidenceRecall, 1, 'the document that is the question comes first');
  assert.equal(all!.auxiliaryTokens, half!.auxiliaryTokens);
  assert.equal(half!.indexBytes, 4 * 16 * 4);
  assert.ok(half!.promptTokens < all!.promptTokens);
  assert.ok(missing!.status === 'failed' && /no-such-folder.*Check the name/.test(missing!.error.message));
});
