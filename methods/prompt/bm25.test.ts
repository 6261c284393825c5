import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBm25, wordsOf } from './bm25.js';

const near = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) < 1e-12, `${actual} is not ${expected}`);

test('scores follow the closed form', () => {
  const { scores } = createBm25(['red fox', 'red red dog barks', 'a blue bird'], { k1: 1.2, b: 0.75 });
  // Lengths 2, 4, 3 (mean 3). "red" is in 2 of 3 texts, "bird" in 1 of 3.
  const idfRed = Math.log(1 + 1.5 / 2.5);
  const idfBird = Math.log(1 + 2.5 / 1.5);
  const [fox, dog, bird] = scores('Red BIRD?');
  near(fox!, (idfRed * 2.2) / (1 + 1.2 * (0.25 + 0.5)));
  near(dog!, (idfRed * 2 * 2.2) / (2 + 1.2 * (0.25 + 1)));
  near(bird!, (idfBird * 2.2) / (1 + 1.2 * (0.25 + 0.75)));
});

test('with k1 = 0 a word counts once however often it stands, and with b = 0 length does not matter', () => {
  const once = createBm25(['red', 'red red red', 'dog'], { k1: 0, b: 0.75 }).scores('red');
  near(once[0]!, once[1]!);
  const flat = createBm25(['red', 'red and many other words', 'dog'], { k1: 1.2, b: 0 }).scores('red');
  near(flat[0]!, flat[1]!);
});

test('a word twice in the query counts twice, an unknown word nothing', () => {
  const { scores } = createBm25(['red fox', 'dog']);
  near(scores('red red')[0]!, 2 * scores('red')[0]!);
  assert.deepEqual([...scores('whale')], [0, 0]);
  assert.deepEqual([...createBm25([]).scores('red')], []);
});

test('words are letters and digits of any script in lower case', () => {
  assert.deepEqual(wordsOf("The Red-fox's 2nd ÉTÉ, 東京!"), ['the', 'red', 'fox', 's', '2nd', 'été', '東京']);
});

test('index bytes count words, postings and lengths', () => {
  // "red" and "fox" 3 bytes each with one posting, "red" with a second one: 6 + 3 x 8, two lengths.
  assert.equal(createBm25(['red fox', 'red']).bytes, 6 + 24 + 8);
});
