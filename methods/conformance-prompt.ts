/** Checks on methods that choose the text of the prompt: they run on services made here, without a model. */
import assert from 'node:assert/strict';
import { createRandom } from '../core/random.js';
import type { Check, CheckFacts } from './conformance-check.js';
import type { PromptRequest, PromptResult, Protocol, Services } from './contract.js';
import { budgetOf, layerShape, modelFacts } from './naive-views.js';
import { createBm25 } from './prompt/bm25.js';

const topics = ['granite', 'harbour', 'meadow', 'violin', 'lantern', 'saffron', 'glacier', 'compass'];

/** Eight documents of four sentences; each names its topic, so that a question about one has an answer. */
const documents: PromptRequest['documents'] = (() => {
  const made: { text: string; start: number }[] = [];
  let start = 0;
  topics.forEach((topic, i) => {
    const words = createRandom('documents', i).shuffle(['old', 'quiet', 'bright', 'narrow', 'distant', 'careful']);
    const text =
      `The ${topic} stands by the ${words[0]} road. Nobody saw the ${words[1]} ${topic} before. ` +
      `A ${words[2]} letter says that the ${topic} cost ${20 + i} coins. It was a ${words[3]} day.\n`;
    made.push({ text, start });
    start += text.length;
  });
  return made;
})();

const QUESTION = 'What did the violin cost?';
const countTokens = (text: string): number => text.split(/\s+/u).filter((word) => word !== '').length;

/** A vector of word counts, hashed into 16 places: near for texts that share words. */
const embedding = (text: string): Float32Array => {
  const out = new Float32Array(16);
  for (const word of text.toLowerCase().split(/[^a-z0-9]+/u)) {
    let hash = 7;
    for (const char of word) hash = (hash * 31 + char.charCodeAt(0)) % 65_521;
    out[hash % 16]! += 1;
  }
  return out;
};

/** Services that answer at once, or late and each call faster than the one before. */
const services = (late: boolean): Services => {
  let waiting = 12;
  const reply = <T>(value: T): Promise<T> =>
    late ? new Promise((resolve) => setTimeout(() => resolve(value), Math.max(0, waiting--))) : Promise.resolve(value);
  return {
    countTokens,
    bm25: (texts) => createBm25(texts),
    embed: (texts) => reply(texts.map(embedding)),
    classifyWords: (text) => {
      const spans = [...text.matchAll(/\S+/gu)].map(({ 0: word, index }) => ({
        start: index,
        end: index + word.length,
      }));
      const shares = spans.flatMap(({ start, end }) => [1 / (1 + end - start), 1 - 1 / (1 + end - start)]);
      return reply({ labels: ['drop', 'keep'], spans, shares: Float32Array.from(shares) });
    },
    rerank: (query, texts) => reply(Float32Array.from(texts, (text) => dot(embedding(query), embedding(text)))),
  };
};

const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

const whole = documents.map(({ text }) => text).join('');

const build = async (facts: CheckFacts, tokenBudget: number, late = false): Promise<PromptResult> => {
  const use = services(late);
  const protocol: Protocol = 'query-aware';
  const hook = facts.subject.method.hooks(
    { params: facts.subject.params, budget: budgetOf(tokenBudget, countTokens(whole)), protocol },
    modelFacts([layerShape(), layerShape()]),
  ).prompt!;
  const index = await hook.index?.(documents, use);
  return hook.build({ documents, question: QUESTION, tokenBudget, seed: 5 }, index, use);
};

const actsOnTextOnly = ({ hooks }: CheckFacts): string | undefined =>
  hooks.prompt === undefined ? 'does not choose the text of the prompt' : undefined;

export const promptChecks: readonly Check[] = [
  {
    property: 'C30',
    title: 'parts fit the token budget and come from the documents; the order of replies does not matter',
    withoutEngine: true,
    exempt: actsOnTextOnly,
    run: async (facts) => {
      for (const tokenBudget of [30, 75, countTokens(whole)]) {
        const result = await build(facts, tokenBudget);
        assert.deepEqual(await build(facts, tokenBudget), result, 'a second build');
        assert.deepEqual(await build(facts, tokenBudget, true), result, 'replies that come late and out of order');
        if ('answer' in result) continue;
        let text = '';
        for (const part of result.parts) {
          assert.ok('text' in part, 'text parts');
          text += part.text;
          if (part.stands === undefined) continue;
          const stood = part.stands.map(({ start, end }) => whole.slice(start, end)).join('');
          assert.equal(part.text, stood, 'the text that the part says it stands for');
        }
        assert.ok(text.length > 0, 'something is fed');
        assert.ok(countTokens(text) <= tokenBudget, `${countTokens(text)} tokens for a budget of ${tokenBudget}`);
      }
    },
  },
  {
    property: 'C30',
    title: 'an index is a function of the documents, and building a prompt does not change it',
    withoutEngine: true,
    exempt: (facts) => actsOnTextOnly(facts) ?? (facts.hooks.prompt?.index === undefined ? 'has no index' : undefined),
    run: async (facts) => {
      const hook = facts.hooks.prompt!;
      const use = services(false);
      const [first, second] = [await hook.index!(documents, use), await hook.index!(documents, use)];
      assert.ok(first.bytes > 0, 'index bytes are counted');
      assert.equal(second.bytes, first.bytes);
      const request = { documents, question: QUESTION, tokenBudget: 60, seed: 5 };
      const fresh = await hook.build(request, second, use);
      await hook.build({ ...request, question: 'Who saw the glacier?' }, first, use);
      assert.deepEqual(await hook.build(request, first, use), fresh, 'after another question on the same index');
    },
  },
];
