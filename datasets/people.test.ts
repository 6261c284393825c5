import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CITIES, FIRST_NAMES, SURNAMES } from './people.js';
import { proseSentences } from './prose.js';

const ALL = [...FIRST_NAMES, ...SURNAMES, ...CITIES];

test('names are single capitalised words, and none holds another', () => {
  for (const name of ALL) assert.match(name, /^[A-Z][A-Za-z]+$/);
  for (const name of ALL) {
    const holders = ALL.filter((other) => other.toLowerCase().includes(name.toLowerCase()));
    assert.deepEqual(holders, [name]);
  }
});

test('the prose holds no name', () => {
  let sentences = '';
  for (const sentence of proseSentences(0)) {
    sentences += sentence;
    if (sentences.length > 500_000) break;
  }
  for (const name of ALL) assert.doesNotMatch(sentences, new RegExp(`\\b${name}\\b`), name);
});
