import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conforms } from '../conformance.js';
import type { PromptRequest, PromptResult, Services } from '../contract.js';
import { budgetOf, modelFacts, settingOf } from '../naive-views.js';
import { parseParams } from '../params.js';
import { createBm25 } from './bm25.js';
import { bm25TopK } from './bm25-top-k.js';

conforms(bm25TopK);

const absent = (): never => {
  throw new Error('bm25-top-k calls no model');
};
const services: Services = {
  countTokens: (text) => text.match(/\S+/g)?.length ?? 0,
  bm25: (texts) => createBm25(texts),
  embed: absent,
  classifyWords: absent,
  rerank: absent,
};

const build = (request: Partial<PromptRequest>, params: object = {}): Promise<PromptResult> => {
  const setting = settingOf(parseParams(bm25TopK, params), budgetOf(1, 1));
  const whole = { documents: [], question: 'Where is the red key?', tokenBudget: 100, seed: 0, ...request };
  return bm25TopK.hooks(setting, modelFacts([])).prompt!.build(whole, undefined, services);
};
const textsOf = (result: PromptResult): string[] =>
  'parts' in result ? result.parts.map((part) => ('text' in part ? part.text : '')) : [];

const documentsOf = (...texts: string[]): PromptRequest['documents'] =>
  texts.map((text, i) => ({ text, start: texts.slice(0, i).join('').length }));

test('the best documents are fed in the order of the text, within the budget', async () => {
  const documents = documentsOf('The red key is here. ', 'Nothing to see. ', 'A red door. ', 'The red key again. ');
  const result = await build({ documents, tokenBudget: 9 });
  assert.deepEqual(textsOf(result), ['The red key is here. ', 'The red key again. ']);
  assert.ok('parts' in result);
  assert.deepEqual(
    result.parts.map((part) => part.stands),
    [[{ start: 0, end: 21 }], [{ start: 49, end: 68 }]],
  );
  assert.deepEqual(
    result.ranking
      ?.map(({ start }) => start)
      .slice(0, 2)
      .sort((a, b) => a - b),
    [0, 49],
  );
});

test('a document that does not fit is passed over and the next one tried', async () => {
  const documents = documentsOf('The red key and red key and red key and red key. ', 'A red door. ');
  assert.deepEqual(textsOf(await build({ documents, tokenBudget: 4 })), ['A red door. ']);
});

test('a context without documents is cut into segments of whole sentences', async () => {
  const context = `${'Rain falls on hills. '.repeat(20)}The red key is under the mat. ${'Wind blows over roofs. '.repeat(20)}`;
  const result = await build({ documents: [{ text: context, start: 0 }], tokenBudget: 12 }, { segmentTokens: 12 });
  assert.equal(textsOf(result).length, 1);
  assert.match(textsOf(result)[0]!, /The red key is under the mat\. /);
  assert.ok('parts' in result);
  const [span] = result.parts[0]!.stands!;
  assert.equal(context.slice(span!.start, span!.end), textsOf(result)[0]);
});

test('equal scores go to the earlier document', async () => {
  const documents = documentsOf('Rain one. ', 'Rain two. ', 'Rain three. ');
  assert.deepEqual(textsOf(await build({ documents, tokenBudget: 4 })), ['Rain one. ', 'Rain two. ']);
});

test('a budget of everything feeds the whole text', async () => {
  const context = 'One fox. Two dogs. Three birds sing. ';
  assert.equal(
    textsOf(await build({ documents: [{ text: context, start: 0 }] }, { segmentTokens: 8 })).join(''),
    context,
  );
});

test('without a question the setting is refused, and so is a budget under the shortest piece', async () => {
  const params = parseParams(bm25TopK, {});
  assert.throws(() => bm25TopK.declare(settingOf(params, budgetOf(1, 1), 'query-agnostic'), modelFacts([])), {
    code: 'ERR_UNSUPPORTED',
  });
  await assert.rejects(build({ documents: documentsOf('The red key. ', 'A red door opens. '), tokenBudget: 2 }), {
    code: 'ERR_UNSUPPORTED',
    message: /at least 3 tokens/,
  });
});

test('words of the question that only one document has decide', async () => {
  const documents = documentsOf('the the the of of of. ', 'key of brass. ', 'the of the of. ');
  assert.deepEqual(textsOf(await build({ documents, tokenBudget: 3 })), ['key of brass. ']);
});

test('the index is counted and gives the same prompt as none', async () => {
  const documents = documentsOf('The red key is here. ', 'Nothing to see. ', 'A red door. ');
  const setting = settingOf(parseParams(bm25TopK, {}), budgetOf(1, 1));
  const { prompt } = bm25TopK.hooks(setting, modelFacts([]));
  const index = await prompt!.index!(documents, services);
  assert.equal(index.bytes, createBm25(documents.map(({ text }) => text)).bytes);
  const request = { documents, question: 'red key', tokenBudget: 6, seed: 0 };
  assert.deepEqual(await prompt!.build(request, index, services), await prompt!.build(request, undefined, services));
});
