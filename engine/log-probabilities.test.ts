/** Log-probabilities against transformers (scripts/record-log-probabilities.py) and against the engine's own logits. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { resolveMethod } from '../methods/load.js';
import type { ContinuationScore, SettingRequest } from './contract.js';
import { decode } from './core/decode.js';
import { tailOf } from './core/fed-prompt.js';
import { textWindows } from './core/perplexity.js';
import { openSample } from './core/sample.js';
import { bindMethod, resolveSetting } from './core/settings.js';
import { openLocal } from './local.js';
import { defaultModelId, findModel } from './models.js';
import { writeTinyModel } from './tiny-model.js';

interface Recorded {
  readonly cases: readonly {
    readonly prompt: string;
    readonly promptTokens: number;
    readonly continuations: readonly {
      readonly text: string;
      readonly tokenIds: readonly number[];
      readonly logProbabilities: readonly number[];
      readonly isGreedy: boolean;
    }[];
  }[];
  readonly text: string;
  readonly tokens: number;
  readonly windows: readonly { readonly window: number; readonly stride: number; readonly nll: readonly number[] }[];
}
const recorded: Recorded = JSON.parse(
  readFileSync(join(import.meta.dirname, 'fixtures/log-probabilities.json'), 'utf8'),
);

/** Logits agree with transformers within 2e-3 (reference.test.ts); a log-probability is a difference of two such numbers. */
const bound = 3e-3;

const folder = mkdtempSync(join(tmpdir(), 'winnow-log-probabilities-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const tiny = writeTinyModel(folder, { layers: 3, hiddenSize: 64, queryHeads: 8, kvHeads: 2, headDim: 16, seed: 9 });

const open = (path: string) =>
  openLocal(path, {
    backend: 'cpu',
    numerics: 'reference',
    isa: 'auto',
    threads: 0,
    prefillChunk: 64,
    resolveMethod,
    cancelled: () => {},
  });

const words = 'sun river stone light garden winter letter market bridge';
const prompt = Array.from({ length: 6 }, (_, i) => `${words} ${i}.`).join(' ');

const softmaxed = (logits: Float32Array, token: number): number => {
  const values = [...logits];
  const peak = Math.max(...values);
  return values[token]! - peak - Math.log(values.reduce((sum, value) => sum + Math.exp(value - peak), 0));
};

test('continuations of the default model have the log-probabilities that transformers gives', async (context) => {
  const model = await findModel(defaultModelId);
  if (model === undefined) return context.skip(`${defaultModelId} is not in the cache`);
  const engine = open(model.path);
  try {
    let most = 0;
    for (const { prompt: text, promptTokens, continuations } of recorded.cases) {
      const outcome = await engine.score({ text, raw: true, continuations: continuations.map((one) => one.text) });
      assert.equal(outcome.promptTokens, promptTokens);
      outcome.continuations.forEach((own, index) => {
        const expected = continuations[index]!;
        assert.deepEqual(own.tokenIds, expected.tokenIds);
        assert.equal(own.isGreedy, expected.isGreedy, expected.text);
        own.logProbabilities.forEach((value, token) => {
          const off = Math.abs(value - expected.logProbabilities[token]!);
          assert.ok(off <= bound, `${JSON.stringify(expected.text)}, token ${token}: off by ${off}`);
          most = Math.max(most, off);
        });
      });
    }
    for (const { window, stride, nll } of recorded.windows) {
      const own = engine.perplexity({ text: recorded.text, bos: false, window, stride });
      assert.equal(own.tokens, recorded.tokens);
      assert.equal(own.nll.length, nll.length);
      own.nll.forEach((value, token) => {
        const off = Math.abs(value - nll[token]!);
        assert.ok(off <= bound, `window ${window}, token ${token}: off by ${off}`);
        most = Math.max(most, off);
      });
    }
    context.diagnostic(`largest difference: ${most.toExponential(2)} nats`);
  } finally {
    engine.close();
  }
});

const paramsOf: Record<string, Record<string, unknown>> = { quest: { denseLayers: 0 }, kivi: { groupSize: 16 } };
const settings: readonly SettingRequest[] = [
  { key: 'dense', method: { id: 'dense', params: {} } },
  ...['snapkv', 'tova', 'kivi', 'quest', 'streaming-llm'].map((id) => ({
    key: id,
    method: { id, params: paramsOf[id] ?? {} },
    keptFraction: 0.7,
  })),
];

for (const setting of settings) {
  test(`${setting.key}: what is generated is greedy when it is scored, alone and beside others, with the same numbers`, async () => {
    const engine = open(tiny);
    try {
      const base = { text: prompt, raw: true, setting };
      const { text, tokenIds } = await engine.generate({ ...base, maxNewTokens: 8 });
      // Bytes that are no text come back as other tokens: then only the numbers of the batch are compared.
      const others = [' sun', ' river stone light garden winter', text === '' ? 'a' : text];
      const together = await engine.score({ ...base, continuations: others });
      const alone: ContinuationScore[] = [];
      for (const one of others) alone.push(...(await engine.score({ ...base, continuations: [one] })).continuations);
      assert.deepEqual(together.continuations, alone);
      const own = together.continuations[2]!;
      if (own.tokenIds.join() === tokenIds.join()) assert.ok(own.isGreedy, text);
      for (const { total, logProbabilities } of together.continuations)
        assert.ok(Math.abs(total - logProbabilities.reduce((a, b) => a + b, 0)) < 1e-12 && total < 0);
      const { tensorBytes, cacheBytes } = engine.context.device.addon.memory();
      await engine.score({ ...base, continuations: others });
      assert.deepEqual(
        [tensorBytes, cacheBytes],
        [engine.context.device.addon.memory().tensorBytes, engine.context.device.addon.memory().cacheBytes],
      );
    } finally {
      engine.close();
    }
  });
}

test('dense scores are the log-softmax of the logits of the whole sequence', async () => {
  const engine = open(tiny);
  try {
    const continuation = ' letter market';
    const { continuations, promptTokens } = await engine.score({
      text: prompt,
      raw: true,
      continuations: [continuation],
    });
    const tail = continuations[0]!;
    const whole = await engine.generate({ text: prompt, raw: true, maxNewTokens: 1 });
    assert.equal(whole.promptTokens, promptTokens);
    const { nll } = engine.perplexity({ text: prompt + continuation, bos: false, window: 2048, stride: 1024 });
    tail.logProbabilities.forEach((value, i) => {
      assert.ok(Math.abs(value + nll[promptTokens - 1 + i]!) < 1e-4, `token ${i}`);
    });
  } finally {
    engine.close();
  }
});

test('perplexity in windows equals log-softmax of the logits of each window alone, in any prefill chunk', () => {
  const engine = open(tiny);
  try {
    const text = prompt;
    const { nll, tokens, scoredBytes } = engine.perplexity({ text, bos: false, window: 100, stride: 30 });
    assert.equal(nll.length, tokens - 1);
    // The tiny tokenizer has one token for each byte but for a few words; the first token is the first letter.
    assert.ok(scoredBytes > text.length - 12 && scoredBytes < text.length);
    const ids = Int32Array.from(engine.context.facts.vocabSize > 0 ? idsOf(engine, text) : []);
    for (const { start, scored, end } of textWindows(tokens, 100, 30)) {
      const logits = engine.logits(ids.subarray(start, end));
      const width = engine.context.facts.vocabSize;
      for (let token = scored; token < end; token++) {
        const row = token - 1 - start;
        const expected = -softmaxed(logits.subarray(row * width, (row + 1) * width), ids[token]!);
        assert.ok(Math.abs(nll[token - 1]! - expected) < 1e-9, `token ${token}`);
      }
    }
  } finally {
    engine.close();
  }
});

const idsOf = (engine: ReturnType<typeof open>, text: string): Int32Array =>
  engine.text.prepare({
    context: text,
    question: '',
    answerPrefix: '',
    documents: [],
    evidence: [],
    chatTemplate: false,
  }).contextIds;

test('windows predict every token but the first once, with as much context as asked for', () => {
  for (const n of [2, 3, 10, 99, 100, 101, 257]) {
    for (const [window, stride] of [
      [100, 50],
      [100, 99],
      [2, 1],
      [64, 1],
    ] as const) {
      const seen = new Array<number>(n).fill(0);
      for (const { start, scored, end } of textWindows(n, window, stride)) {
        assert.ok(end - start <= window && scored > start && end > scored);
        assert.ok(start === 0 || scored - start >= window - stride);
        for (let token = scored; token < end; token++) seen[token]!++;
      }
      assert.deepEqual(seen, [0, ...new Array<number>(n - 1).fill(1)]);
    }
  }
});

test('windows that the model cannot hold, strides that skip tokens and empty continuations are refused', async () => {
  const engine = open(tiny);
  try {
    for (const bad of [
      { window: 1, stride: 1 },
      { window: 10_000, stride: 1 },
      { window: 8, stride: 8 },
      { window: 8, stride: 0 },
    ])
      assert.throws(() => engine.perplexity({ text: prompt, bos: false, ...bad }), { code: 'ERR_USAGE' });
    assert.throws(() => engine.perplexity({ text: 'a', bos: false, window: 8, stride: 4 }), { code: 'ERR_USAGE' });
    await assert.rejects(engine.score({ text: 'a', raw: true, continuations: [''] }), { code: 'ERR_USAGE' });
  } finally {
    engine.close();
  }
});

test('drawn text is the same again for the same seed, differs for another, and greedy is untouched', async () => {
  const engine = open(tiny);
  try {
    const base = { text: prompt, raw: true, maxNewTokens: 16 };
    const drawn = async (seed: number) =>
      (await engine.generate({ ...base, sampling: { temperature: 1, seed } })).tokenIds;
    assert.deepEqual(await drawn(1), await drawn(1));
    assert.notDeepEqual(await drawn(1), await drawn(2));
    const cold = await engine.generate({ ...base, sampling: { temperature: 0, seed: 1 } });
    assert.deepEqual(cold, await engine.generate(base));
    await assert.rejects(engine.generate({ ...base, sampling: { temperature: -1, seed: 1 } }), { code: 'ERR_USAGE' });
  } finally {
    engine.close();
  }
});

test('what a row draws depends neither on the rows beside it nor on their number', async () => {
  const engine = open(tiny);
  try {
    const { context } = engine;
    const { contextIds } = engine.text.prepare({
      context: prompt,
      question: '',
      answerPrefix: '',
      documents: [],
      evidence: [],
      chatTemplate: false,
    });
    const fed = {
      contextIds: contextIds.subarray(0, -1),
      questionIds: contextIds.subarray(-1),
      evidence: [],
      tailTokens: 1,
    };
    const drawn = async (wanted: readonly SettingRequest[]) => {
      const resolved = await Promise.all(
        wanted.map(async (one) =>
          resolveSetting(
            one,
            await bindMethod(one.method, resolveMethod),
            context.facts,
            'query-aware',
            fed.contextIds.length,
          ),
        ),
      );
      const spec = {
        prompt: fed,
        protocol: 'query-aware',
        sampleSeed: 3,
        maxNewTokens: 10,
        standAlone: false,
      } as const;
      const sample = await openSample(context, spec, resolved);
      try {
        const job = { sample, tailIds: tailOf(fed, 'query-aware'), maxNewTokens: 10, holdsStop: () => false };
        const sampling = { temperature: 1.5, topP: 0.95, seed: 4 };
        const [decoded] = decode(context, [job], { isStop: () => false, recallSteps: 0, sampling });
        return new Map([...decoded!.rows].map(([key, row]) => [key, row.tokenIds]));
      } finally {
        sample.close();
      }
    };
    const together = await drawn(settings);
    assert.equal(together.size, settings.length);
    for (const setting of settings)
      assert.deepEqual((await drawn([setting])).get(setting.key), together.get(setting.key), setting.key);
  } finally {
    engine.close();
  }
});
