import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calibrationTexts } from './calibration.js';
import { proseParagraphs } from './prose.js';

test('the same seed gives the same texts, another seed others, and each is as long as asked', () => {
  assert.deepEqual(calibrationTexts(1, 3, 500), calibrationTexts(1, 3, 500));
  assert.notDeepEqual(calibrationTexts(1, 3, 500), calibrationTexts(2, 3, 500));
  for (const text of calibrationTexts(1, 3, 500))
    assert.ok(text.length >= 500 && text.length < 900 && /[.?!]$/.test(text));
});

test('no paragraph of a suite is ever calibrated on', () => {
  const calibrated = calibrationTexts(0, 4, 4_000).flatMap((text) => text.split('\n').slice(0, -1));
  const asked = new Set<string>();
  for (let seed = 0; seed < 20; seed++) {
    const paragraphs = proseParagraphs(seed);
    for (let i = 0; i < 50; i++) asked.add(paragraphs.next().value.join(' '));
  }
  assert.ok(calibrated.length > 20);
  assert.deepEqual(
    calibrated.filter((paragraph) => asked.has(paragraph)),
    [],
  );
});
