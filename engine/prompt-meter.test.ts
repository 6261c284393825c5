import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { defaultModelId, findModel } from './models.js';
import { preparePrompt, templateOf } from './prompt.js';
import { createTokenMeter } from './prompt-meter.js';
import { loadTokenizer } from './tokenizer.js';

const model = await findModel(defaultModelId);
const skip =
  model === undefined ? `${defaultModelId} is not in the cache; run: winnow models pull ${defaultModelId}` : false;

test('a prompt counted in pieces has the tokens that are fed', { skip }, () => {
  const tokenizer = loadTokenizer(model!.path);
  const template = templateOf(tokenizer);
  const text = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          'One',
          ' two',
          ' Three',
          '. ',
          '.',
          '! ',
          '?\n',
          '\n',
          '\n\n',
          ' ',
          '"',
          '12',
          "'s",
          'É',
          ' é',
          '…',
          '<|im_end|>',
        ),
        fc.string({ unit: 'grapheme', maxLength: 4 }),
      ),
      { maxLength: 60 },
    )
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, text, (context, question) => {
      for (const chatTemplate of [true, false]) {
        const parts = { context, question, answerPrefix: ' so', documents: [], evidence: [], chatTemplate };
        const fed = preparePrompt(parts, tokenizer, template);
        const meter = createTokenMeter(tokenizer, chatTemplate);
        assert.equal(meter.countPrompt(parts), fed.contextIds.length + fed.questionIds.length);
        assert.equal(meter.countPrompt(parts), fed.contextIds.length + fed.questionIds.length, 'from what was kept');
      }
    }),
    { numRuns: 300 },
  );
});

test('a sample of plain text is counted without the template that the suite has for others', { skip }, () => {
  const tokenizer = loadTokenizer(model!.path);
  const parts = { context: 'One. Two. ', question: 'Three?', answerPrefix: '', chatTemplate: false };
  const framed = createTokenMeter(tokenizer, true);
  assert.equal(framed.countPrompt(parts), createTokenMeter(tokenizer, false).countPrompt(parts));
  assert.ok(framed.countPrompt(parts) < framed.countPrompt({ ...parts, chatTemplate: true }));
});
