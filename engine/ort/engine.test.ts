/** Two independent implementations of the decoder against one another. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import type { BackendName, Engine, PromptParts, SampleRequest } from '../contract.js';
import { defaultOpenOptions, openEngine } from '../index.js';
import { defaultModelId, findModel } from '../models.js';
import { type TinyModelOptions, writeTinyModel } from '../tiny-model.js';

const fixture = (name: string) => JSON.parse(readFileSync(join(import.meta.dirname, '..', 'fixtures', name), 'utf8'));
const root = mkdtempSync(join(tmpdir(), 'winnow-ort-'));
after(() => rmSync(root, { recursive: true, force: true }));

const logitBound = 2e-3;

const withEngines = async (path: string, body: (ort: Engine, cpu: Engine) => Promise<void>): Promise<void> => {
  const engines: Engine[] = [];
  const open = async (backend: BackendName): Promise<Engine> => {
    const engine = await openEngine(path, { ...defaultOpenOptions, backend, numerics: 'reference' });
    engines.push(engine);
    return engine;
  };
  try {
    await body(await open('ort'), await open('cpu'));
  } finally {
    for (const engine of engines) await engine.close();
  }
};

const largestDifference = (a: Float32Array, b: Float32Array): number => {
  assert.equal(a.length, b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return Number.isNaN(most) ? Number.POSITIVE_INFINITY : most;
};

const hasRuntime = (): boolean => readFileSync('/proc/self/maps', 'utf8').includes('libonnxruntime');

test('the cpu backend never loads ONNX Runtime, the ort backend does', {
  skip: process.platform === 'linux' ? false : 'needs /proc/self/maps',
}, async () => {
  const path = writeTinyModel(join(root, 'lazy'));
  for (const backend of ['cpu', 'ort'] as const) {
    const engine = await openEngine(path, { ...defaultOpenOptions, backend });
    await engine.generate({ text: 'abc', raw: true, maxNewTokens: 2 });
    assert.equal(hasRuntime(), backend === 'ort', backend);
    await engine.close();
  }
});

suite('random models', () => {
  const models: { name: string; options: Partial<TinyModelOptions>; ids: number[] }[] = fixture('tiny-models.json');
  for (const { name, options, ids } of models) {
    test(`${name}: logits within ${logitBound} of the cpu backend`, async (context) => {
      const path = writeTinyModel(join(root, name), { ...options, format: 'safetensors' });
      await withEngines(path, async (ort, cpu) => {
        const tokens = Int32Array.from(ids);
        const difference = largestDifference(await ort.logits(tokens), await cpu.logits(tokens));
        context.diagnostic(`largest difference of a logit: ${difference.toExponential(2)}`);
        assert.ok(difference <= logitBound, `off by ${difference}`);
      });
    });
  }

  test('quantised weights with interleaved heads are unpacked as the cpu backend reads them', async () => {
    const path = writeTinyModel(join(root, 'q4_1'), { type: 'Q4_1', kvHeads: 2, tiedEmbeddings: false });
    await withEngines(path, async (ort, cpu) => {
      const tokens = Int32Array.from({ length: 300 }, (_, i) => 3 + ((i * 7) % 290));
      assert.ok(largestDifference(await ort.logits(tokens), await cpu.logits(tokens)) <= logitBound);
    });
  });
});

const prompt: PromptParts = {
  context: 'The red key is here. Nothing to see. A blue door opens. The cat sleeps well. ',
  question: 'Where is the red key?',
  answerPrefix: '',
  documents: [],
  evidence: [{ start: 0, end: 20 }],
  chatTemplate: false,
};
const request: SampleRequest = {
  sampleId: 's',
  seed: 3,
  prompt,
  protocol: 'query-aware',
  settings: [
    { key: 'dense', method: { id: 'dense', params: {} } },
    { key: 'bm25', method: { id: 'bm25-top-k', params: { segmentTokens: 24 } }, keptFraction: 0.6 },
    { key: 'snapkv', method: { id: 'snapkv', params: {} }, keptFraction: 0.5 },
  ],
  maxNewTokens: 12,
  stop: [],
  traceKept: true,
};

suite('samples on the ort backend', () => {
  const path = writeTinyModel(join(root, 'samples'));

  test('dense and prompt methods give what the cpu backend gives; methods on the cache are unsupported', async () => {
    await withEngines(path, async (ort, cpu) => {
      const [own, expected] = [await ort.evaluate(request), await cpu.evaluate(request)];
      for (const [at, outcome] of own.outcomes.entries()) {
        if (outcome.key !== 'snapkv') assert.deepEqual(outcome, expected.outcomes[at]);
        else assert.ok(outcome.status === 'unsupported' && /hook cache.*--backend cpu/.test(outcome.error.message));
      }
    });
  });

  test('a stop string cuts the text, drawn tokens are those of the cpu backend', async () => {
    await withEngines(path, async (ort, cpu) => {
      const sampling = { temperature: 1.5, seed: 4, topK: 40 };
      const drawn = { text: 'once upon', raw: true, maxNewTokens: 16, sampling };
      assert.deepEqual(await ort.generate(drawn), await cpu.generate(drawn));
      const [dense] = request.settings;
      const free = (await ort.evaluate({ ...request, settings: [dense!] })).outcomes[0]!;
      assert.ok(free.status === 'ok');
      const stop = [...free.text][3]!;
      const cut = { ...request, settings: [dense!], stop: [stop] };
      const [stopped, expected] = [await ort.evaluate(cut), await cpu.evaluate(cut)];
      assert.deepEqual(stopped.outcomes, expected.outcomes);
    });
  });

  test('what the backend cannot do is refused with its reason', async () => {
    const engine = await openEngine(path, { ...defaultOpenOptions, backend: 'ort' });
    const setting = { key: 'k', method: { id: 'snapkv', params: {} }, keptFraction: 0.9 };
    const { settings, traceKept, ...sample } = request;
    try {
      await assert.rejects(engine.time({ ...sample, setting: settings[0]! }), {
        code: 'ERR_UNSUPPORTED',
        message: /times with --backend cpu/,
      });
      const generation = { text: 'a longer text', raw: true, maxNewTokens: 1 };
      await assert.rejects(engine.generate({ ...generation, setting }), {
        code: 'ERR_UNSUPPORTED',
        message: /hook cache/,
      });
      await assert.rejects(engine.logits(Int32Array.of(100_000)), { code: 'ERR_USAGE', message: /ids from 0/ });
      await assert.rejects(engine.generate({ ...generation, text: '' }), { code: 'ERR_USAGE' });
    } finally {
      await engine.close();
    }
    await assert.rejects(openEngine(path, { ...defaultOpenOptions, backend: 'ort', isa: 'avx2' }), {
      code: 'ERR_UNSUPPORTED',
      message: /drop --isa/,
    });
  });

  test('given text and further turns are refused for each setting, and one question is answered thereafter', async () => {
    const engine = await openEngine(path, { ...defaultOpenOptions, backend: 'ort' });
    const dense = { ...request, settings: [request.settings[0]!] };
    const turn = { question: ' And c?', answerPrefix: '', evidence: [], maxNewTokens: 2, stop: [] };
    try {
      for (const [more, got] of [
        [{ continuation: ' one two' }, 'a given continuation'],
        [{ turns: [turn] }, 'several turns'],
        [{ turns: [turn], turnsContinue: true }, 'several turns'],
      ] as const) {
        const [outcome] = (await engine.evaluate({ ...dense, ...more })).outcomes;
        assert.ok(outcome?.status === 'unsupported');
        assert.equal(outcome.error.code, 'ERR_UNSUPPORTED');
        assert.ok(outcome.error.message.includes(`got "${got}". Use --backend cpu.`), outcome.error.message);
      }
      const given = { text: 'once', raw: true, continuations: [' upon'] };
      await assert.rejects(engine.score(given), { code: 'ERR_UNSUPPORTED', message: /score them with --backend cpu/ });
      assert.equal((await engine.evaluate(dense)).outcomes[0]?.status, 'ok');
    } finally {
      await engine.close();
    }
  });

  test('an abort stops a long prompt between passes', async () => {
    const engine = await openEngine(path, { ...defaultOpenOptions, backend: 'ort' });
    try {
      const long = new Int32Array(6_000).fill(5);
      await assert.rejects(engine.logits(long, AbortSignal.timeout(20)), { code: 'ERR_INTERRUPTED' });
      assert.equal((await engine.logits(Int32Array.of(5))).length, engine.facts.vocabSize);
    } finally {
      await engine.close();
    }
  });
});

suite('default model', () => {
  /** From 51 to 780 tokens: several passes of the graph. */
  const compared = ['question', 'code', 'rewrite', 'needle-1k'];
  const prompts: { name: string; text: string; ids: number[] }[] = fixture('reference.json').prompts;

  test(`logits within ${logitBound} of the cpu backend and the same greedy text`, async (context) => {
    const model = await findModel(defaultModelId);
    if (model === undefined)
      return context.skip(`${defaultModelId} is not in the cache: winnow models pull ${defaultModelId}`);
    await withEngines(model.path, async (ort, cpu) => {
      for (const { name, text, ids } of prompts.filter((one) => compared.includes(one.name))) {
        const tokens = Int32Array.from(ids);
        const difference = largestDifference(await ort.logits(tokens), await cpu.logits(tokens));
        context.diagnostic(
          `${name}, ${ids.length} tokens: largest difference of a logit ${difference.toExponential(2)}`,
        );
        assert.ok(difference <= logitBound, `${name} is off by ${difference}`);
        const generation = { text, raw: true, maxNewTokens: 16 };
        assert.deepEqual(await ort.generate(generation), await cpu.generate(generation), name);
      }
    });
  });
});
