import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conforms } from '../conformance.js';
import type { PromptRequest, PromptResult, Services } from '../contract.js';
import { budgetOf, modelFacts, settingOf } from '../naive-views.js';
import { parseParams } from '../params.js';
import { denseRetrievalTopK } from './dense-retrieval-top-k.js';

conforms(denseRetrievalTopK);

/** Vectors by what a text is about, of any length: only their direction counts. */
const subjects = ['key', 'door', 'rain'];
const asked: string[] = [];
const services: Services = {
  countTokens: (text) => text.match(/\S+/g)?.length ?? 0,
  bm25: () => assert.fail('dense retrieval counts no words'),
  embed: async (texts, kind) => {
    assert.equal(kind, 'single');
    asked.push(...texts);
    return texts.map((text) =>
      Float32Array.from(subjects, (subject) => (text.split(subject).length - 1) * (1 + text.length)),
    );
  },
  classifyWords: () => assert.fail('dense retrieval classifies nothing'),
  rerank: () => assert.fail('dense retrieval scores no pairs'),
};

const build = (request: Partial<PromptRequest>, params: object = {}): Promise<PromptResult> => {
  const setting = settingOf(parseParams(denseRetrievalTopK, params), budgetOf(1, 1));
  const whole = { documents: [], question: 'Where is the key?', tokenBudget: 100, seed: 0, ...request };
  return denseRetrievalTopK.hooks(setting, modelFacts([])).prompt!.build(whole, undefined, services);
};
const textsOf = (result: PromptResult): string[] =>
  'parts' in result ? result.parts.map((part) => ('text' in part ? part.text : '')) : [];
const documentsOf = (...texts: string[]): PromptRequest['documents'] =>
  texts.map((text, i) => ({ text, start: texts.slice(0, i).join('').length }));

test('the nearest documents by cosine are fed in the order of the text, within the budget', async () => {
  const documents = documentsOf('rain rain rain. ', 'a key, a door. ', 'no subject here. ', 'the key and the key. ');
  const result = await build({ documents, tokenBudget: 9 });
  assert.deepEqual(textsOf(result), ['a key, a door. ', 'the key and the key. ']);
  assert.ok('parts' in result);
  assert.deepEqual(
    result.ranking!.map(({ score }) => Math.round(score * 100) / 100),
    [1, 0.71, 0, 0],
    'length does not count, and a zero vector is near to nothing',
  );
  assert.deepEqual(
    result.ranking!.map(({ start }) => start),
    [48, 16, 0, 31],
    'equal scores go to the earlier document',
  );
});

test('prefixes stand before what is embedded and not before what is fed', async () => {
  asked.length = 0;
  const documents = documentsOf('a key. ', 'rain. ');
  const result = await build({ documents, tokenBudget: 2 }, { queryPrefix: 'query: ', documentPrefix: 'passage: ' });
  assert.deepEqual(asked, ['passage: a key. ', 'passage: rain. ', 'query: Where is the key?']);
  assert.deepEqual(textsOf(result), ['a key. ']);
});

test('the embedder is a declared need, the index holds four bytes for each number', async () => {
  const setting = settingOf(parseParams(denseRetrievalTopK, { embedder: './mine' }), budgetOf(1, 1));
  assert.deepEqual(denseRetrievalTopK.declare(setting, modelFacts([])).needs, [{ auxiliary: './mine' }]);
  const { prompt } = denseRetrievalTopK.hooks(setting, modelFacts([]));
  const documents = documentsOf('a key. ', 'rain. ');
  const index = await prompt!.index!(documents, services);
  assert.equal(index.bytes, 2 * 3 * 4);
  const request = { documents, question: 'key', tokenBudget: 2, seed: 0 };
  assert.deepEqual(await prompt!.build(request, index, services), await prompt!.build(request, undefined, services));
});

test('without a question the setting is refused', () => {
  const params = parseParams(denseRetrievalTopK, {});
  assert.throws(() => denseRetrievalTopK.declare(settingOf(params, budgetOf(1, 1), 'query-agnostic'), modelFacts([])), {
    code: 'ERR_UNSUPPORTED',
    message: /Use query-aware/,
  });
});
