import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scoreSteps } from './steps.js';
import { wordsInOrder } from './words-in-order.js';

const references = ['Step 1: A = 7, B = 30', 'Step 2: A = 9, B = 30', 'Step 3: A = 30, B = 9'];
const steps = (prediction: string): string => scoreSteps(prediction, references).join('');

test('the format may drift: marks, numbers alone, no numbers, words between, bodies on a line of their own', () => {
  for (const prediction of [
    ' A = 7, B = 30\nStep 2: A = 9, B = 30\nStep 3: A = 30, B = 9',
    'Step 1: A = 7, B = 30\nStep 2: A = 9, B = 30\nStep 3: A = 30, B = 9\nDone.',
    '**Step 1** - a=7; b=30\n**Step 2** - a=9; b=30\n**Step 3** - a=30; b=9',
    'step 1: A is 7 and B is 30. step 2: A is 9 and B is 30. step 3: A is now 30, B is now 9.',
    '1. A = 7, B = 30\n2. A = 9, B = 30\n3. A = 30, B = 9',
    '1) A: 7 B: 30\n2) A: 9 B: 30\n3) A: 30 B: 9',
    'A = 7, B = 30\nA = 9, B = 30\n\nA = 30, B = 9',
    'Step 1:\nA = 7, B = 30\n\nStep 2:\nA = 9, B = 30\n\nStep 3:\nA = 30, B = 9',
    'Step 1: A = 7, B = 30 (copied)\nStep 2: A = 9, B = 30, as told\nStep 3: A = 30, B = 9',
  ])
    assert.equal(steps(prediction), '111', prediction);
});

test('a lost line costs itself only, and a line at the wrong number is wrong', () => {
  assert.equal(steps('Step 1: A = 7, B = 30\nStep 3: A = 30, B = 9'), '101');
  assert.equal(steps('Step 1: A = 9, B = 30\nStep 2: A = 7, B = 30'), '000');
});

test('the content may not drift: a number too long, too short or elsewhere is wrong', () => {
  assert.equal(steps('Step 1: A = 70, B = 30\nStep 2: A = 9, B = 3\nStep 3: A = 30'), '000');
  assert.equal(steps('Step 1: B = 30, A = 7'), '000');
  assert.equal(steps(''), '000');
  assert.equal(steps('I cannot do this.'), '000');
});

test('the first text of a number counts: a model that starts anew gains nothing', () => {
  assert.equal(steps('Step 1: A = 1, B = 1\nStep 1: A = 7, B = 30'), '000');
});

test('steps that were given with the prompt are not asked for: the answer goes on with the first reference', () => {
  const late = ['Step 5: A = 7', 'Step 6: A = 8'];
  assert.deepEqual(scoreSteps(' A = 7\nStep 6: A = 8', late), [1, 1]);
  assert.deepEqual(scoreSteps('A = 7\nA = 8', late), [1, 1]);
  assert.deepEqual(scoreSteps('Step 1: A = 7\nStep 2: A = 8', late), [0, 0]);
});

test('words in order end at the first slip', () => {
  const score = (prediction: string): number =>
    wordsInOrder(prediction, { references: ['red fox jumps high'], question: '', meta: {} });
  assert.equal(score('red fox jumps high'), 1);
  assert.equal(score(' Red, fox; jumps high and on'), 1);
  assert.equal(score('red fox leaps high'), 0.5);
  assert.equal(score('fox red jumps high'), 0);
  assert.equal(score('red'), 0.25);
  assert.equal(score(''), 0);
});
