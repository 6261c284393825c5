/** Every method on the default model: a needle among filler, and the question for it. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Engine, SettingOutcome, SettingRequest } from '../engine/contract.js';
import { defaultOpenOptions, openEngine } from '../engine/index.js';
import { defaultModelId, findModel } from '../engine/models.js';

const asked = 'One of the special magic numbers for busy-river is: 7402185.';
const filler = [
  'The grass is green.',
  'The sky is blue.',
  'The sun is yellow.',
  'Here we go.',
  'There and back again.',
];
const lines = Array.from({ length: 60 }, (_, i) => filler[i % filler.length]!);
lines.splice(22, 0, asked);
const context = `Some special magic numbers are hidden within the following text. Make sure to memorize it. ${lines.join(' ')}`;
const start = context.indexOf(asked);

const prompt = {
  context,
  question: '\nWhat is the special magic number for busy-river mentioned in the provided text?',
  answerPrefix: ' The special magic number for busy-river mentioned in the provided text is',
  documents: [],
  evidence: [{ start, end: start + asked.length }],
  chatTemplate: true,
};

const setting = (id: string, keptFraction?: number, params: Record<string, unknown> = {}): SettingRequest => ({
  key: id,
  method: { id, params },
  ...(keptFraction === undefined ? {} : { keptFraction }),
});

const settings: readonly SettingRequest[] = [
  setting('dense'),
  setting('random', 0.25),
  setting('oracle', 0.25),
  setting('oracle-top-k', 0.25),
  setting('streaming-llm', 0.5),
  setting('knorm', 0.75),
  setting('snapkv', 0.5),
  setting('tova', 0.5),
  setting('kivi', 0.75, { bits: 4 }),
  setting('quest', 0.5),
  setting('sink-window-prefill', 0.9),
  setting('bm25-top-k', 0.3),
  setting('snapkv+quest+kivi', 0.75, { kivi: { residualTokens: 64 }, fractions: { quest: 0.75 } }),
];

type Answered = Extract<SettingOutcome, { status: 'ok' }>;

suite('the default model answers through every method', async () => {
  const model = await findModel(defaultModelId);
  const skip = model === undefined ? `${defaultModelId} is not in the cache: run winnow models pull` : false;
  let engine: Engine | undefined;
  let outcomes: readonly SettingOutcome[] = [];
  let prefills = 0;

  before(async () => {
    if (model === undefined) return;
    // Reference numerics: the same answers on every machine.
    engine = await openEngine(model.path, { ...defaultOpenOptions, numerics: 'reference' });
    const request = {
      sampleId: 'needle',
      seed: 1,
      prompt,
      settings,
      maxNewTokens: 9,
      stop: [],
      traceKept: false,
    } as const;
    ({ outcomes, prefills } = await engine.evaluate({ ...request, protocol: 'query-aware' }));
  });
  after(() => engine?.close());

  const outcome = (key: string): Answered => {
    const found = outcomes.find((one) => one.key === key);
    assert.ok(found?.status === 'ok', found === undefined ? `no ${key}` : JSON.stringify(found));
    return found;
  };
  const finds = (key: string): void => assert.match(outcome(key).text, /7402185/);

  for (const key of ['dense', 'oracle', 'oracle-top-k', 'bm25-top-k']) {
    test(`${key} finds the number`, { skip }, () => finds(key));
  }

  test('the oracle holds all evidence', { skip }, () => {
    assert.equal(outcome('oracle').evidenceRecall, 1);
  });

  test('random eviction and a window lose it, and the evidence with it', { skip }, () => {
    for (const key of ['random', 'streaming-llm']) assert.doesNotMatch(outcome(key).text, /7402185/);
    assert.equal(outcome('streaming-llm').evidenceRecall, 0);
    assert.ok(outcome('random').evidenceRecall! < 0.5);
  });

  for (const key of ['snapkv', 'knorm', 'tova', 'kivi', 'quest', 'sink-window-prefill', 'snapkv+quest+kivi']) {
    test(`${key} finds the number at its budget`, { skip }, () => finds(key));
  }

  test('evictors hold half of the context and the whole question; tova half in all', { skip }, () => {
    const dense = outcome('dense');
    const slotBytes = dense.kvCacheBytes / dense.promptTokens;
    const kept = Math.floor(dense.contextTokens / 2);
    const question = dense.promptTokens - dense.contextTokens;
    for (const key of ['streaming-llm', 'snapkv'])
      assert.equal(outcome(key).kvCacheBytes, slotBytes * (kept + question));
    assert.equal(outcome('tova').kvCacheBytes, slotBytes * kept);
  });

  test('measured bytes equal the formula everywhere, and selectors read less than dense', { skip }, () => {
    for (const { key } of settings) assert.equal(outcome(key).kvCacheBytes, outcome(key).expectedKvCacheBytes, key);
    assert.ok(outcome('quest').kvBytesReadPerStep < 0.75 * outcome('dense').kvBytesReadPerStep);
    assert.ok(outcome('snapkv+quest+kivi').kvBytesReadPerStep < 0.5 * outcome('dense').kvBytesReadPerStep);
    assert.ok(outcome('bm25-top-k').indexBytes > 0);
    assert.ok(outcome('sink-window-prefill').density <= 0.9);
  });

  test('all methods that leave the prefill alone share one', { skip }, () => {
    assert.equal(prefills, 3);
  });
});
