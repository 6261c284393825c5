import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isExactMatch, isSubstringMatch, normaliseAnswer, splitWords, tokenF1 } from './normalise.js';

test('punctuation goes before articles, so letters around a sign grow together first', () => {
  assert.equal(normaliseAnswer('The U.S.A.'), 'usa');
  assert.equal(normaliseAnswer('the-end of a day'), 'theend of day');
  assert.equal(normaliseAnswer("It's AN apple, 'a pear' & the_rest!"), 'its apple pear therest');
});

test('articles are whole words of any script', () => {
  assert.equal(normaliseAnswer('théa thea a1 na\u00efve an'), 'théa thea a1 na\u00efve');
  assert.equal(normaliseAnswer('a'), '');
});

test('only ASCII punctuation is taken away', () => {
  assert.equal(normaliseAnswer('“Oslo” – 3.5€'), '“oslo” – 35€');
});

test('white space is what Python calls so', () => {
  assert.deepEqual(splitWords(' a\u00a0b\u2003c\u0085d\x1ce\n'), ['a', 'b', 'c', 'd', 'e']);
  assert.deepEqual(splitWords('a\ufeffb a\u200bb'), ['a\ufeffb', 'a\u200bb']);
});

test('token F1 counts words as a bag', () => {
  assert.equal(tokenF1('the cat sat', 'a cat sat down'), (2 * 1 * (2 / 3)) / (1 + 2 / 3));
  assert.equal(tokenF1('cat cat', 'cat'), (2 * 0.5 * 1) / 1.5);
  assert.equal(tokenF1('dog', 'cat'), 0);
  assert.equal(tokenF1('', ''), 0);
});

test('F1 is symmetric, lies in [0, 1], and is 1 for equal texts with words', () => {
  const text = fc.array(fc.constantFrom('cat', 'dog', 'the', 'sat.', 'Sat')).map((words) => words.join(' '));
  fc.assert(
    fc.property(text, text, (a, b) => {
      const f1 = tokenF1(a, b);
      assert.ok(f1 >= 0 && f1 <= 1);
      assert.ok(Math.abs(f1 - tokenF1(b, a)) < 1e-15);
      assert.equal(tokenF1(a, a), normaliseAnswer(a) === '' ? 0 : 1);
      if (isExactMatch(a, b)) assert.ok(isSubstringMatch(a, b) && f1 === tokenF1(a, a));
    }),
  );
});
