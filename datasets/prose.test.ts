import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proseParagraphs, proseSentences } from './prose.js';
import { FRAMES, SHAPES, WORDS } from './prose-frames.js';
import { TOPICS } from './prose-topics.js';

/** The first paragraphs with at least `words` words. */
const essay = (words: number, ...seed: number[]): (readonly string[])[] => {
  const paragraphs: (readonly string[])[] = [];
  let count = 0;
  for (const paragraph of proseParagraphs(...seed)) {
    paragraphs.push(paragraph);
    count += paragraph.join(' ').split(' ').length;
    if (count >= words) break;
  }
  return paragraphs;
};
// 100 000 words are about 128K tokens of common tokenizers.
const LONG = essay(100_000, 0);

test('no paragraph repeats in 128K tokens and over four fifths of the sentences are different', () => {
  const paragraphs = LONG.map((sentences) => sentences.join(' '));
  assert.equal(new Set(paragraphs).size, paragraphs.length);
  const sentences = LONG.flat();
  const distinct = new Set(sentences).size / sentences.length;
  assert.ok(distinct > 0.8, `${distinct} of ${sentences.length} sentences are different`);
});

test('no sentence comes back within a thousand tokens', () => {
  const sentences = LONG.flat();
  const lastSeen = new Map<string, number>();
  sentences.forEach((sentence, i) => {
    assert.ok(i - (lastSeen.get(sentence) ?? -100) > 50, sentence);
    lastSeen.set(sentence, i);
  });
});

test('every frame and every topic occurs', () => {
  const text = LONG.flat().join(' ');
  for (const topic of TOPICS) assert.ok(text.includes(topic.subject), topic.subject);
  assert.ok(Object.values(FRAMES).flat().length >= 100);
  assert.ok(SHAPES.length >= 10);
});

test('every slot of every frame is filled by words or by the topic', () => {
  const slots = new Set(
    Object.values(FRAMES)
      .flat()
      .flatMap((frame) => [...frame.matchAll(/\{([^}]+)\}/g)].map((match) => match[1]!.toLowerCase())),
  );
  for (const slot of slots) assert.ok(slot in WORDS || slot in TOPICS[0]!, slot);
  assert.ok(LONG.flat().every((sentence) => !/[{}]/.test(sentence)));
});

test('sentences are plain: one line, a capital first, a full stop or question mark last, no digit', () => {
  for (const sentence of LONG.flat()) assert.match(sentence, /^[A-Z][^\d\n.!?_]*[.?]$/);
});

test('the same seed gives the same text, another seed another one', () => {
  assert.deepEqual(essay(2000, 7), essay(2000, 7));
  const [first, second] = [essay(2000, 7).flat(), essay(2000, 8).flat()];
  assert.ok(second.filter((sentence) => first.includes(sentence)).length < 5);
});

test('sentences are those of the paragraphs', () => {
  const sentences: string[] = [];
  for (const sentence of proseSentences(7)) if (sentences.push(sentence) === 20) break;
  assert.deepEqual(sentences, essay(2000, 7).flat().slice(0, 20));
});
