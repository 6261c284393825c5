import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ABSTENTION, ABSTENTION_PHRASES, abstains } from './abstention.js';
import { scoreFile } from './score-file.js';

const scores = (id: string, ...lines: readonly [prediction: string, reference: string, classes?: string[]][]) =>
  scoreFile(
    id,
    lines.map(([prediction, reference, classes]) => JSON.stringify({ prediction, references: [reference], classes })),
  ).scores;

test('every phrase of the list abstains, in any case and punctuation; names and empty answers do not', () => {
  for (const phrase of ABSTENTION_PHRASES) assert.ok(abstains(`Sorry, it is "${phrase.toUpperCase()}".`), phrase);
  for (const text of ['', 'Ashford', 'The Unknowing Regatta', 'Notstatedville', "It isn't Ashford but Calford"])
    assert.ok(!abstains(text), text);
  assert.ok(abstains("I don't know") && abstains('The documents do not say.') && abstains('Unknown'));
});

test('abstention: right when it abstains exactly where there is no answer', () => {
  assert.deepEqual(
    scores(
      'abstention',
      ['Not stated.', ABSTENTION],
      ['Ashford', ABSTENTION],
      ['', ABSTENTION],
      ['It is not stated', 'Ashford'],
    ),
    [1, 0, 0, 0],
  );
  // Which answer it is does not matter here.
  assert.deepEqual(scores('abstention', ['Calford', 'Ashford'], ['', 'Ashford']), [1, 0]);
});

test('answer or abstain: the answer where there is one, alone', () => {
  assert.deepEqual(
    scores('answer-or-abstain', ['in Ashford', 'Ashford'], ['Calford', 'Ashford'], ['Not stated. Ashford', 'Ashford']),
    [1, 0, 0],
  );
  assert.deepEqual(scores('answer-or-abstain', ['Not stated', ABSTENTION], ['Ashford', ABSTENTION]), [1, 0]);
});

test('first named or abstain: the candidate that comes first', () => {
  const pair = ['Ashford', 'Calford'];
  assert.deepEqual(
    scores(
      'first-named-or-abstain',
      ['Ashford, not Calford', 'Ashford', pair],
      ['Calford, not Ashford', 'Ashford', pair],
      ['unknown', ABSTENTION, pair],
      ['unknown', 'Ashford', pair],
    ),
    [1, 0, 1, 0],
  );
});
