import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sentenceSegments, sentences } from './segments.js';

const countWords = (text: string): number => text.match(/\S+/g)?.length ?? 0;
const cut = (text: string, maxTokens: number): string[] =>
  sentenceSegments(text, maxTokens, countWords).map(({ start, end }) => text.slice(start, end));

test('sentences end at full stops, question marks and line breaks, with their closing quotes', () => {
  const text = 'One fox. "Two dogs!" Three?\nFour 1.5 birds\nand e.g. five. 東京。大阪';
  assert.deepEqual(
    sentences(text).map(({ start, end }) => text.slice(start, end)),
    ['One fox. ', '"Two dogs!" ', 'Three?\n', 'Four 1.5 birds\n', 'and e.g. ', 'five. ', '東京。', '大阪'],
  );
});

test('whole sentences fill a segment up to the limit', () => {
  assert.deepEqual(cut('A b c. D e. F g h i. J.', 5), ['A b c. D e. ', 'F g h i. J.']);
});

test('a sentence over the limit is cut at spaces', () => {
  assert.deepEqual(cut('A b c d e f g. H.', 3), ['A b c ', 'd e f ', 'g. H.']);
});

test('segments are the text, in order, and within the limit', () => {
  const word = fc.constantFrom('fox', 'dog.', 'a', '!', '"Yes."', '\n', 'x.y', '東京。', '  ');
  fc.assert(
    fc.property(fc.array(word, { maxLength: 60 }), fc.integer({ min: 1, max: 9 }), (words, limit) => {
      const text = words.join(' ');
      const parts = cut(text, limit);
      assert.equal(parts.join(''), text);
      for (const part of parts) assert.ok(countWords(part) <= limit);
    }),
  );
});
