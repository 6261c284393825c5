import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bindMethod } from '../../engine/core/settings.js';
import type { Services } from '../../methods/contract.js';
import { resolveMethod } from '../../methods/load.js';
import { modelFacts } from '../../methods/naive-views.js';
import { createBm25 } from '../../methods/prompt/bm25.js';
import { findTask } from '../tasks/index.js';
import { wordMeter } from '../tasks/word-meter.js';
import type { RetrievalSet } from './contract.js';
import { evaluateRetrieval, type QueryRetrieval } from './evaluate.js';
import { retrievalOfSamples } from './samples.js';
import { summariseRetrieval } from './summary.js';

const services = {
  countTokens: wordMeter().count,
  bm25: (texts: readonly string[]) => createBm25(texts),
} as unknown as Services;

const evaluate = async (set: RetrievalSet, id = 'bm25-top-k', tokenBudget = 300): Promise<QueryRetrieval[]> => {
  const bound = await bindMethod({ id, params: {} }, resolveMethod);
  const run = {
    set,
    bound,
    model: modelFacts([]),
    budget: bound.method.budgetAxis === 'none' ? {} : { tokenBudget },
    seed: 0,
    openServices: async () => ({ services, auxiliaryTokens: () => 0 }),
  };
  const results: QueryRetrieval[] = [];
  for await (const one of evaluateRetrieval(run)) results.push(one);
  return results;
};

const samplesOf = (id: string, samples: number, cut = false): RetrievalSet => {
  const task = findTask(id)!;
  const order = { params: task.defaults, length: 2_000, samples, seed: 1, meter: wordMeter() };
  return retrievalOfSamples(id, task.generate(order), cut);
};

const corpus = ['Red apples fall.', 'Blue whales sing.', 'Green tea is hot.'];
const documents = corpus.map((text, i) => ({ text, start: corpus.slice(0, i).join('').length }));
const spanOf = (i: number, grade = 1) => ({
  start: documents[i]!.start,
  end: documents[i]!.start + corpus[i]!.length,
  grade,
});
const asked = (question: string, relevant = [spanOf(1)], more = {}) => ({
  id: question,
  question,
  documents,
  relevant,
  lacking: [],
  ...more,
});

test('a question that names what it wants finds it first and feeds it alone where the budget ends', async () => {
  const [found, lost] = await evaluate(
    { id: 'three', queries: [asked('whales sing?'), asked('apples?')] },
    'bm25-top-k',
    4,
  );
  assert.equal(found!.ranking!.ndcgAt10, 1);
  assert.equal(found!.evidencePrecision, 1);
  assert.equal(found!.evidenceRecall, 1);
  assert.equal(found!.fedTokens, 4);
  assert.equal(lost!.ranking!.reciprocalRankAt10, 1 / 2);
  assert.equal(lost!.evidencePrecision, 0);
});

test('candidates narrow the ranking, and what the corpus lacks stays unfound', async () => {
  const narrowed = asked('apples', [spanOf(1)], { candidates: new Set([documents[1]!.start]) });
  const lacking = asked('whales', [spanOf(1)], { lacking: [1] });
  const [one, two] = await evaluate({ id: 'three', queries: [narrowed, lacking] });
  assert.equal(one!.ranking!.reciprocalRankAt10, 1);
  assert.equal(two!.ranking!.recallAt10, 0.5);
});

test('a shared corpus is indexed once', async () => {
  let indexed = 0;
  const counting = { ...services, bm25: services.bm25 };
  const bound = await bindMethod({ id: 'bm25-top-k', params: {} }, resolveMethod);
  const method = {
    ...bound.method,
    hooks: (...given: Parameters<typeof bound.method.hooks>) => {
      const hooks = bound.method.hooks(...given);
      const index = hooks.prompt!.index!;
      return {
        ...hooks,
        prompt: {
          ...hooks.prompt!,
          index: (...args: Parameters<typeof index>) => {
            indexed++;
            return index(...args);
          },
        },
      };
    },
  };
  const run = {
    set: { id: 'three', queries: [asked('whales'), asked('tea'), asked('apples')] },
    bound: { ...bound, method },
    model: modelFacts([]),
    budget: { tokenBudget: 10 },
    seed: 0,
    openServices: async () => ({ services: counting, auxiliaryTokens: () => 0 }),
  };
  for await (const one of evaluateRetrieval(run)) assert.ok(one.indexBytes > 0);
  assert.equal(indexed, 1);
});

test('over the generated world one hop is found, and every piece holds its evidence whole', async () => {
  const results = summariseRetrieval(await evaluate(samplesOf('world_1_hop', 8)));
  assert.ok(results.ndcgAt10!.mean > 0.8, `${results.ndcgAt10!.mean}`);
  assert.ok(results.ndcgAt10!.low <= results.ndcgAt10!.mean && results.ndcgAt10!.mean <= results.ndcgAt10!.high);
  assert.equal(results.evidenceCut, 0);
  assert.equal(results.pieces!.coverage, 1);
});

test('cut by the method, pieces keep to its length and mostly to sentences', async () => {
  const { pieces } = summariseRetrieval(await evaluate(samplesOf('world_2_hop', 3, true)));
  assert.ok(pieces!.longestTokens <= 64);
  assert.ok(pieces!.cutsAtSentences > 0.9, `${pieces!.cutsAtSentences}`);
  assert.equal(pieces!.overlap, 1);
});

test('methods that choose no prompt are refused by name', async () => {
  await assert.rejects(evaluate({ id: 'three', queries: [asked('whales')] }, 'snapkv'), {
    code: 'ERR_UNSUPPORTED',
    message: /snapkv/,
  });
});
