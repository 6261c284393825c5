/** Text given instead of generated: its log-probability under every setting, held against the engine's own logits and scores. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { contrast } from '../methods/fixtures/contrast.js';
import { lookupDraft } from '../methods/fixtures/lookup-draft.js';
import { resolveMethod } from '../methods/load.js';
import type { NumericsName, SampleRequest, SettingRequest, SettingResult } from './contract.js';
import { decode } from './core/decode.js';
import { tailOf } from './core/fed-prompt.js';
import { measureOf } from './core/given.js';
import { openSample } from './core/sample.js';
import { bindMethod, type ResolveMethod, resolveSetting } from './core/settings.js';
import { openLocal } from './local.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'winnow-continuation-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const model = writeTinyModel(folder, { layers: 3, queryHeads: 8, kvHeads: 2, seed: 11 });

const methodOf: ResolveMethod = async (ref) =>
  [contrast, lookupDraft].find(({ id }) => id === ref.id) ?? resolveMethod(ref);

const open = (numerics: NumericsName = 'reference') =>
  openLocal(model, {
    ...{ backend: 'cpu', numerics, isa: 'auto', threads: 2, prefillChunk: 64 },
    resolveMethod: methodOf,
    cancelled: () => {},
  });

const words = 'sun river stone light garden winter letter market bridge';
const paramsOf: Record<string, Record<string, unknown>> = {
  quest: { denseLayers: 0 },
  snapkv: { observationWindow: 8 },
};
const settings: SettingRequest[] = [
  'dense',
  'snapkv',
  'quest',
  'tova',
  'streaming-llm',
  'bm25-top-k',
  'fixture-lookup-draft',
  'fixture-contrast',
].map((id) => ({
  key: id,
  method: { id, params: paramsOf[id] ?? {} },
  ...(['dense', 'fixture-lookup-draft', 'fixture-contrast'].includes(id) ? {} : { keptFraction: 0.6 }),
}));

const requestOf = (continuation: string | undefined, own: readonly SettingRequest[] = settings): SampleRequest => ({
  sampleId: 'a',
  seed: 3,
  prompt: {
    context: Array.from({ length: 6 }, (_, i) => `${words} ${i}.`).join(' '),
    question: ' Which comes next?',
    answerPrefix: ' It is',
    documents: [],
    evidence: [],
    chatTemplate: false,
  },
  protocol: 'query-aware',
  settings: own,
  maxNewTokens: 12,
  stop: [],
  ...(continuation === undefined ? {} : { continuation }),
  traceKept: false,
});

const resultsOf = async (engine: ReturnType<typeof open>, request: SampleRequest): Promise<SettingResult[]> =>
  (await engine.evaluate(request)).outcomes.map((outcome) => {
    assert.ok(outcome.status === 'ok', `${outcome.key}: ${JSON.stringify(outcome)}`);
    return outcome;
  });

test('dense: the log-probability is that of the tokens in the logits of the whole sequence', async () => {
  const engine = open();
  try {
    const [dense] = await resultsOf(engine, requestOf(' stone light and winter', settings.slice(0, 1)));
    const { contextIds, questionIds } = engine.text.prepare(requestOf('').prompt);
    const given = engine.text.encodeContinuation(' stone light and winter', false);
    const ids = Int32Array.from([...contextIds, ...questionIds, ...given]);
    const all = engine.logits(ids);
    const vocab = engine.facts.vocabSize;
    let total = 0;
    let greedy = 0;
    given.forEach((token, i) => {
      const at = ids.length - given.length + i - 1;
      const logits = [...all.subarray(at * vocab, (at + 1) * vocab)];
      const sum = logits.reduce((s, value) => s + Math.exp(value), 0);
      total += Math.log(Math.exp(logits[token]!) / sum);
      if (Math.max(...logits) === logits[token]) greedy++;
    });
    assert.equal(dense!.given?.tokens, given.length);
    assert.ok(Math.abs(dense!.given!.logProbability - total) < 1e-4 * given.length);
    assert.equal(dense!.given?.greedyTokens, greedy);
    assert.deepEqual([dense!.tokenIds, dense!.finishReason], [[...given], 'length']);
  } finally {
    engine.close();
  }
});

for (const numerics of ['reference', 'native'] as const) {
  test(`${numerics}: a continuation measured beside all settings equals the one measured alone, in a batch too`, async () => {
    const engine = open(numerics);
    try {
      const together = await resultsOf(engine, requestOf(' stone light'));
      for (const [i, setting] of settings.entries()) {
        const [alone] = await resultsOf(engine, requestOf(' stone light', [setting]));
        assert.deepEqual(together[i], alone, setting.key);
      }
      const others = [requestOf(undefined), requestOf(' stone light'), requestOf(' garden winter letter market')];
      const batch = await engine.evaluateBatch(others);
      assert.deepEqual(batch[1]!.outcomes.map(withoutStatus), together);
    } finally {
      engine.close();
    }
  });
}

const withoutStatus = (outcome: object): object => ({ ...outcome });

/** Decodes one setting after the prompt; the tiny model's answers are bytes, which text would not bring back as the same tokens. */
const decodeAlone = async (engine: ReturnType<typeof open>, setting: SettingRequest, given?: Int32Array) => {
  const { prompt, protocol, seed } = requestOf(undefined);
  const fed = { ...engine.text.prepare(prompt), tailTokens: 1 };
  const bound = await bindMethod(setting.method, methodOf);
  const resolved = resolveSetting(setting, bound, engine.facts, protocol, fed.contextIds.length);
  const maxNewTokens = given?.length ?? 12;
  const spec = { prompt: fed, protocol, sampleSeed: seed, maxNewTokens, standAlone: false };
  const sample = await openSample(engine.context, spec, [resolved]);
  try {
    const job = { sample, tailIds: tailOf(fed, protocol), maxNewTokens, holdsStop: () => false };
    const [decoded] = decode(engine.context, [given === undefined ? job : { ...job, given }], {
      isStop: () => false,
      recallSteps: 0,
    });
    return decoded!.rows.get(setting.key)!;
  } finally {
    sample.close();
  }
};

test('what a setting generates is wholly greedy when it is given back, with the same bytes and steps', async () => {
  const engine = open();
  try {
    for (const setting of settings.filter(({ key }) => key !== 'bm25-top-k' && key !== 'fixture-contrast')) {
      const own = await decodeAlone(engine, setting);
      const { given, ...same } = await decodeAlone(engine, setting, Int32Array.from(own.tokenIds));
      assert.deepEqual(same, own, setting.key);
      assert.deepEqual([...given!.greedy], own.tokenIds);
      const { logProbability, ...counts } = measureOf(given!);
      assert.deepEqual(counts, { tokens: 12, greedyTokens: 12 });
      assert.ok(logProbability < 0 && logProbability > 12 * Math.log(1 / engine.facts.vocabSize), 'above chance');
      const other = Int32Array.from(own.tokenIds, (token, i) => (i === 5 ? (token + 1) % 200 : token));
      assert.ok(measureOf((await decodeAlone(engine, setting, other)).given!).greedyTokens < 12);
    }
  } finally {
    engine.close();
  }
});

test('decode-time selection counts: a method that reads little in its steps finds the text otherwise likely than dense', async () => {
  const engine = open();
  try {
    const results = await resultsOf(engine, requestOf(' river stone light garden'));
    const at = (key: string) => results[settings.findIndex((setting) => setting.key === key)]!.given!.logProbability;
    assert.notEqual(at('quest'), at('dense'));
    assert.notEqual(at('tova'), at('dense'));
    assert.notEqual(at('fixture-contrast'), at('dense'));
    assert.ok(Math.abs(at('fixture-lookup-draft') - at('dense')) < 1e-3, 'drafts change no probability');
  } finally {
    engine.close();
  }
});

test('a continuation without a token is refused', async () => {
  const engine = open();
  try {
    await assert.rejects(engine.evaluate(requestOf('')), { code: 'ERR_SUITE', message: /sample a, continuation/ });
  } finally {
    engine.close();
  }
});
