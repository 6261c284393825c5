import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADJECTIVES, NOUNS } from './words.js';

test('there are enough keys, and no word is listed twice', () => {
  assert.ok(ADJECTIVES.length >= 300 && NOUNS.length >= 600, `${ADJECTIVES.length} x ${NOUNS.length}`);
  assert.equal(new Set([...ADJECTIVES, ...NOUNS]).size, ADJECTIVES.length + NOUNS.length);
});

test('words are lower-case letters', () => {
  for (const word of [...ADJECTIVES, ...NOUNS]) assert.match(word, /^[a-z]{2,12}$/);
});
