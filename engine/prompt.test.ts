import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import type { TokenSpan } from '../methods/contract.js';
import type { PromptParts } from './contract.js';
import { preparePrompt, templateOf, tokenRange } from './prompt.js';
import { createTokenMeter } from './prompt-meter.js';
import { writeTinyModel } from './tiny-model.js';
import { loadTokenizer } from './tokenizer.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-prompt-'));
after(() => rmSync(root, { recursive: true, force: true }));
const tokenizer = loadTokenizer(writeTinyModel(root));
const template = templateOf(tokenizer);

const context = 'One fact. The key is 4711. Another fact, with a 🙂 in it.';
const spanOf = (text: string): TokenSpan => ({
  start: context.indexOf(text),
  end: context.indexOf(text) + text.length,
});
const parts: PromptParts = {
  context,
  question: ' What is the key?',
  answerPrefix: 'The key is',
  documents: [spanOf('One fact. '), spanOf('The key is 4711. ')],
  evidence: [spanOf('4711'), spanOf('🙂')],
  chatTemplate: true,
};
const decode = (ids: Int32Array, span?: TokenSpan): string =>
  tokenizer.decode(span === undefined ? ids : ids.slice(span.start, span.end));

suite('preparePrompt', () => {
  test('the parts joined are the prompt that the template renders, plus the answer prefix', () => {
    const { contextIds, questionIds } = preparePrompt(parts, tokenizer, template);
    const rendered = template!.render([{ role: 'user', content: context + parts.question }]);
    assert.equal(decode(contextIds) + decode(questionIds), rendered + parts.answerPrefix);
    assert.equal(decode(questionIds), `${parts.question}<|im_end|>\n<|im_start|>assistant\nThe key is`);
  });

  test('evidence and documents are the tokens that hold any part of them', () => {
    const { contextIds, evidence, documents, headTokens } = preparePrompt(parts, tokenizer, template);
    assert.equal(decode(contextIds, evidence[0]), '4711');
    assert.equal(decode(contextIds, evidence[1]), '🙂');
    assert.equal(decode(contextIds, documents[0]), 'One fact. ');
    assert.equal(decode(contextIds, { start: headTokens, end: contextIds.length }), context);
    // `4711` begins inside no other token here, so the ranges are tight.
    assert.equal(evidence[0]!.end - evidence[0]!.start, 4);
  });

  test('a token that straddles a border belongs to both sides', () => {
    const text = 'a the';
    const encoded = tokenizer.encodeWithOffsets(text, { specials: 'none' });
    const left = tokenRange(encoded, 0, 3);
    const right = tokenRange(encoded, 3, 5);
    assert.equal(left.end, right.start + 1);
    assert.deepEqual(tokenRange(encoded, 2, 2), { start: 1, end: 1 });
  });

  test('special tokens in the text of a sample are plain text', () => {
    const { contextIds, questionIds } = preparePrompt(
      { ...parts, context: `${context}<|im_end|>`, question: '<|im_start|>' },
      tokenizer,
      template,
    );
    assert.equal([...contextIds, ...questionIds].filter((id) => id < 3).length, 3);
  });

  test('without a template the text is fed as it is and special tokens in it count', () => {
    const raw = preparePrompt(
      { ...parts, context: `<|im_start|>user\n${context}`, documents: [], evidence: [], chatTemplate: false },
      tokenizer,
      template,
    );
    assert.equal(raw.headTokens, 0);
    assert.equal(raw.contextIds[0], 1);
    assert.equal(
      decode(raw.contextIds) + decode(raw.questionIds),
      `<|im_start|>user\n${context}${parts.question}${parts.answerPrefix}`,
    );
  });

  test('the cut between context and question does not depend on what stands there', () => {
    const apart = preparePrompt({ ...parts, question: 'x' }, tokenizer, template).contextIds;
    assert.deepEqual(apart, preparePrompt(parts, tokenizer, template).contextIds);
  });

  test('a model without a template and ranges outside the context are refused', () => {
    assert.throws(() => preparePrompt(parts, tokenizer, undefined), { code: 'ERR_UNSUPPORTED', message: /--raw/ });
    const outside = { ...parts, evidence: [{ start: 3, end: context.length + 1 }] };
    assert.throws(() => preparePrompt(outside, tokenizer, template), { code: 'ERR_SUITE', message: /evidence\[0\]/ });
  });
});

suite('createTokenMeter', () => {
  test('counts are those of the prompt as it will be fed', () => {
    for (const chatTemplate of [true, false]) {
      const { contextIds, questionIds } = preparePrompt(
        { ...parts, chatTemplate, documents: [], evidence: [] },
        tokenizer,
        template,
      );
      assert.equal(
        createTokenMeter(tokenizer, chatTemplate).countPrompt(parts),
        contextIds.length + questionIds.length,
      );
    }
  });

  test('counting the same text again gives the same number', () => {
    const meter = createTokenMeter(tokenizer, true);
    assert.equal(meter.count('the key'), tokenizer.encode('the key', { specials: 'none' }).length);
    assert.equal(meter.count('the key'), meter.count('the key'));
    assert.equal(meter.count('<|im_end|>') > 1, true);
  });
});
