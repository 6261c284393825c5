/** Several questions over one context: what each turn answers, what it may know, and what it costs. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Method } from '../methods/contract.js';
import { dense } from '../methods/control/dense.js';
import { contrast } from '../methods/fixtures/contrast.js';
import { lookupDraft } from '../methods/fixtures/lookup-draft.js';
import { resolveMethod } from '../methods/load.js';
import type { SampleOutcome, SampleRequest, SettingRequest, SettingResult, TurnRequest } from './contract.js';
import { openLocal } from './local.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'winnow-turns-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const model = writeTinyModel(folder, { layers: 3, queryHeads: 8, kvHeads: 2, seed: 11 });

/** Throws in the second step of every question but the first of a conversation. */
const brittle: Method = {
  ...dense,
  id: 'brittle',
  hooks: () => ({
    decode: {
      select(view) {
        const [slots] = view.slots.lens;
        if (view.step === 2 && slots! > view.rows.sequences[0]!.length + 20) throw new Error('broke on purpose');
        return { parts: [{ keys: { kind: 'all' } }], mix: 'one-softmax' };
      },
    },
  }),
};
const engine = openLocal(model, {
  ...{ backend: 'cpu', numerics: 'reference', isa: 'auto', threads: 2, prefillChunk: 64 },
  resolveMethod: async (ref) => [brittle, contrast, lookupDraft].find(({ id }) => id === ref.id) ?? resolveMethod(ref),
  cancelled: () => {},
});
after(() => engine.close());

const paramsOf: Record<string, Record<string, unknown>> = {
  quest: { denseLayers: 0 },
  snapkv: { observationWindow: 8 },
  kivi: { groupSize: 16 },
};
const settingsOf = (...ids: string[]): SettingRequest[] =>
  ids.map((id) => ({
    key: id,
    method: { id, params: paramsOf[id] ?? {} },
    ...(['dense', 'fixture-lookup-draft', 'fixture-contrast', 'brittle'].includes(id) ? {} : { keptFraction: 0.7 }),
  }));
const settings = settingsOf('dense', 'snapkv', 'quest', 'tova', 'random', 'kivi', 'bm25-top-k', 'fixture-lookup-draft');

/** Without a question there is nothing to rank documents by. */
const servedBy = (protocol: SampleRequest['protocol']): SettingRequest[] =>
  settings.filter(({ key }) => protocol === 'query-aware' || key !== 'bm25-top-k');

const words = 'sun river stone light garden winter letter market bridge';
const context = Array.from({ length: 6 }, (_, i) => `${words} ${i}.`).join(' ');
const turn = (question: string, start: number, maxNewTokens = 5): TurnRequest => ({
  question,
  answerPrefix: ' It is',
  evidence: [{ start, end: start + 12 }],
  maxNewTokens,
  stop: [],
});
const later = [turn(' And which river?', 60), turn(' Where is the winter market then?', 120, 3)];

const requestOf = (more: Partial<SampleRequest> = {}): SampleRequest => ({
  sampleId: 'a',
  seed: 3,
  prompt: {
    ...{ context, question: ' Which comes next?', answerPrefix: ' It is', documents: [], chatTemplate: false },
    evidence: [{ start: 4, end: 20 }],
  },
  protocol: 'query-agnostic',
  settings: servedBy(more.protocol ?? 'query-agnostic'),
  maxNewTokens: 6,
  stop: [],
  turns: later,
  traceKept: true,
  ...more,
});
const single = ({ turns: _turns, ...request }: SampleRequest, own: TurnRequest): SampleRequest => ({
  ...request,
  prompt: { ...request.prompt, question: own.question, answerPrefix: own.answerPrefix, evidence: own.evidence },
  ...{ maxNewTokens: own.maxNewTokens, stop: own.stop },
});

const okOf = (outcome: SampleOutcome, key: string): SettingResult => {
  const found = outcome.outcomes.find((one) => one.key === key)!;
  assert.ok(found.status === 'ok', `${key}: ${JSON.stringify(found)}`);
  return found;
};
const turnFields = (result: SettingResult) => ({
  text: result.text,
  tokenIds: result.tokenIds,
  finishReason: result.finishReason,
  promptTokens: result.promptTokens,
  kvCacheBytes: result.kvCacheBytes,
  kvCacheBytesPeak: result.kvCacheBytesPeak,
  kvBytesReadPerStep: result.kvBytesReadPerStep,
  evidenceRecall: result.evidenceRecall,
});

for (const protocol of ['query-agnostic', 'query-aware'] as const)
  test(`${protocol}: questions that stand alone get the answers, bytes and recall of samples of their own`, async () => {
    const request = requestOf({ protocol });
    const outcome = await engine.evaluate(request);
    const [first, ...others] = [
      single(request, { ...turn(' Which comes next?', 4, 6), evidence: request.prompt.evidence }),
      ...later.map((own) => single(request, own)),
    ];
    const alone = [await engine.evaluate(first!)];
    for (const one of others) alone.push(await engine.evaluate(one));
    for (const { key } of servedBy(protocol)) {
      const { turns, compressedFor } = okOf(outcome, key);
      assert.deepEqual(
        turns,
        alone.map((one) => turnFields(okOf(one, key))),
        key,
      );
      assert.equal(compressedFor, protocol === 'query-agnostic' ? 'context' : 'each-question');
    }
    const cost = alone.reduce((sum, { prefills }) => sum + prefills, 0);
    assert.equal(outcome.prefills, protocol === 'query-agnostic' ? alone[0]!.prefills : cost);
    assert.equal(outcome.prefillsUnshared, 3 * servedBy(protocol).length);
  });

test('the fields beside the turns are the first text, all tokens, mean bytes and recall, and the largest peak', async () => {
  const { turns = [], ...whole } = okOf(await engine.evaluate(requestOf()), 'snapkv');
  const mean = (read: (one: (typeof turns)[number]) => number) => turns.reduce((sum, one) => sum + read(one), 0) / 3;
  assert.equal(whole.text, turns[0]!.text);
  assert.deepEqual(
    whole.tokenIds,
    turns.flatMap(({ tokenIds }) => tokenIds),
  );
  assert.equal(
    whole.kvCacheBytes,
    mean(({ kvCacheBytes }) => kvCacheBytes),
  );
  assert.equal(
    whole.evidenceRecall,
    mean(({ evidenceRecall }) => evidenceRecall!),
  );
  assert.equal(whole.kvCacheBytesPeak, Math.max(...turns.map(({ kvCacheBytesPeak }) => kvCacheBytesPeak)));
  assert.equal(
    whole.promptTokens,
    turns.reduce((sum, { promptTokens }) => sum + promptTokens - whole.contextTokens, whole.contextTokens),
  );
});

const bytesPerToken = engine.facts.layers.reduce(
  (sum, { numKvHeads, headDim, headDimV }) => sum + numKvHeads * (headDim + headDimV) * engine.facts.elementBytes,
  0,
);

/** Greedy tokens after these ids, from whole passes. */
const greedy = (ids: readonly number[], count: number): number[] => {
  const all = [...ids];
  for (let i = 0; i < count; i++) {
    const logits = engine.logits(Int32Array.from(all)).subarray(-engine.facts.vocabSize);
    all.push(logits.indexOf(logits.reduce((a, b) => Math.max(a, b))));
  }
  return all.slice(ids.length);
};

for (const protocol of ['query-agnostic', 'query-aware'] as const)
  for (const history of ['gold', 'answer'] as const)
    test(`${protocol}, ${history} history: a conversation is one text to the dense cache, prefilled once`, async () => {
      const answered = history === 'gold' ? { answered: ' stone light' } : {};
      const request = requestOf({
        ...{ protocol, turnsContinue: true },
        turns: later.map((own) => ({ ...own, ...answered })),
      });
      const outcome = await engine.evaluate({
        ...request,
        settings: settings.filter(({ key }) => key !== 'bm25-top-k'),
      });
      assert.equal(outcome.prefills, 1);
      const { turns = [], promptTokens, compressedFor } = okOf(outcome, 'dense');
      assert.equal(compressedFor, protocol === 'query-agnostic' ? 'context' : 'first-question');
      const prepared = engine.text.prepare(request.prompt);
      let ids = [...prepared.contextIds, ...prepared.questionIds];
      turns.forEach(({ tokenIds, finishReason, promptTokens: seen, kvCacheBytes }, i) => {
        if (i > 0) {
          const before =
            history === 'gold' ? engine.text.encodeContinuation(' stone light', false) : turns[i - 1]!.tokenIds;
          ids = [...ids, ...before, ...engine.text.prepareNextTurn({ ...later[i - 1]!, chatTemplate: false })];
        }
        assert.equal(seen, ids.length);
        assert.equal(kvCacheBytes, ids.length * bytesPerToken);
        const expected = greedy(ids, tokenIds.length + (finishReason === 'stop' ? 1 : 0));
        assert.deepEqual(tokenIds, expected.slice(0, tokenIds.length), `turn ${i}`);
      });
      assert.equal(promptTokens, ids.length);
      for (const { key } of settings) if (key !== 'bm25-top-k') assert.equal(okOf(outcome, key).turns?.length, 3, key);
    });

for (const turnsContinue of [false, true])
  for (const protocol of ['query-agnostic', 'query-aware'] as const)
    test(`${protocol}${turnsContinue ? ', in a conversation' : ''}: no method knows a later question`, async () => {
      const other = [turn(' Something else altogether, and longer than it was before?', 30, 9), turn(' x', 200, 1)];
      const [one, two] = [
        await engine.evaluate(requestOf({ protocol, turnsContinue })),
        await engine.evaluate(requestOf({ protocol, turnsContinue, turns: other })),
      ];
      for (const { key } of servedBy(protocol)) {
        const [a, b] = [okOf(one, key), okOf(two, key)];
        assert.deepEqual(a.turns![0], b.turns![0], key);
        assert.deepEqual(a.kept, b.kept, `${key} keeps the same`);
        assert.notDeepEqual(a.turns![1]!.promptTokens, b.turns![1]!.promptTokens);
      }
      const last = await engine.evaluate(requestOf({ protocol, turnsContinue, turns: [later[0]!, other[1]!] }));
      for (const { key } of servedBy(protocol))
        assert.deepEqual(okOf(last, key).turns![1], okOf(one, key).turns![1], key);
    });

test('the oracle keeps the evidence of all turns', async () => {
  const { turns = [] } = okOf(await engine.evaluate(requestOf({ settings: settingsOf('oracle') })), 'oracle');
  assert.deepEqual(
    turns.map(({ evidenceRecall }) => evidenceRecall),
    [1, 1, 1],
  );
});

for (const turnsContinue of [false, true])
  test(`turns${turnsContinue ? ' of a conversation' : ''} beside other settings and samples are those alone, and leave no memory behind`, async () => {
    const request = requestOf({ turnsContinue });
    const together = await engine.evaluate(request);
    const before = engine.context.device.addon.memory();
    await engine.evaluate(request);
    const held = engine.context.device.addon.memory();
    assert.deepEqual([held.tensorBytes, held.cacheBytes], [before.tensorBytes, before.cacheBytes]);
    for (const setting of servedBy('query-agnostic')) {
      const alone = await engine.evaluate({ ...request, settings: [setting] });
      assert.deepEqual(okOf(alone, setting.key), okOf(together, setting.key), setting.key);
    }
    const { turns: _turns, ...plain } = request;
    const batch = await engine.evaluateBatch([plain, request, requestOf({ protocol: 'query-aware' })]);
    assert.deepEqual(batch[1]!.outcomes, together.outcomes);
  });

test('a setting that breaks in a later turn fails alone', async () => {
  const request = requestOf({ turnsContinue: true, settings: settingsOf('dense', 'brittle', 'snapkv') });
  const outcome = await engine.evaluate(request);
  const states = outcome.outcomes.map(({ key, status }) => [key, status]);
  assert.deepEqual(states, [
    ['dense', 'ok'],
    ['brittle', 'failed'],
    ['snapkv', 'ok'],
  ]);
  const alone = await engine.evaluate({ ...request, settings: settingsOf('snapkv') });
  assert.deepEqual(okOf(alone, 'snapkv'), okOf(outcome, 'snapkv'));
});

test('twin prompts follow the question of each turn that stands alone, and no conversation', async () => {
  const own = settingsOf('fixture-contrast');
  const request = requestOf({ settings: own });
  const { turns = [] } = okOf(await engine.evaluate(request), own[0]!.key);
  for (const [i, one] of later.entries()) {
    const alone = await engine.evaluate(single(request, one));
    assert.deepEqual(turns[i + 1], turnFields(okOf(alone, own[0]!.key)));
  }
  const refused = await engine.evaluate(requestOf({ settings: own, turnsContinue: true }));
  assert.equal(refused.outcomes[0]!.status, 'unsupported');
});

test('a continuation together with turns is refused', async () => {
  await assert.rejects(engine.evaluate(requestOf({ continuation: ' a' })), { code: 'ERR_SUITE' });
});
