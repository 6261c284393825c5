import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scorerById } from './index.js';

const score = (prediction: string, reference: string, meta: Record<string, string | boolean> = {}): number =>
  scorerById('longmemeval').score(prediction, { references: [reference], question: '', meta });

test('an answer holds every word of the reference but function words, in any order and inflection', () => {
  assert.equal(score('You graduated with a degree in Business Administration.', 'Business Administration'), 1);
  assert.equal(score('It was business.', 'Business Administration'), 0);
  assert.equal(score('She was painting the kitchen', 'painted the kitchen'), 1);
  assert.equal(score('$400000', '$400,000'), 1);
  assert.equal(score('', 'yes'), 0);
});

test('numbers are compared as digits, and a wording in brackets or called acceptable too is optional', () => {
  assert.equal(score('It took three weeks', '3 weeks'), 1);
  const reference = '7 days. 8 days (including the last day) is also acceptable.';
  assert.equal(score('7 days', reference), 1);
  assert.equal(score('8 days', reference), 1);
  assert.equal(score('9 days', reference), 0);
});

test('only temporal questions forgive a count that is off by one', () => {
  const temporal = { questionType: 'temporal-reasoning' };
  assert.equal(score('19 days', '18 days', temporal), 1);
  assert.equal(score('20 days', '18 days', temporal), 0);
  assert.equal(score('19 days', '18 days', { questionType: 'multi-session' }), 0);
});

test('an unanswerable question is right when the answer says that nothing tells', () => {
  const abstention = { abstention: true };
  const reference = 'You did not mention this information.';
  for (const says of [
    "You didn't mention the name of your hamster.",
    'I do not know.',
    'There is not enough information to answer.',
    'The history does not mention it.',
    'I cannot determine that.',
  ])
    assert.equal(score(says, reference, abstention), 1, says);
  for (const says of ['Your hamster is called Luna.', 'It was on Monday, no later than noon.'])
    assert.equal(score(says, reference, abstention), 0, says);
});
