import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createRandom } from '../../core/random.js';
import type { TokenMeter } from '../contract.js';
import { spansAfterCut, truncateMiddle } from './truncate-middle.js';
import { byteMeter, wordMeter } from './word-meter.js';

const words = (count: number, seed: number): string => {
  const random = createRandom(seed, 'truncate');
  const one = () => random.sample([...'abcdefghijklmnopqrstuvwxyzé𝒳'], random.integer(1, 12)).join('');
  return Array.from({ length: count }, one).join(' ');
};
const frame = (text: string) => ({ context: `Read.\n${text}\n`, question: 'What is it?', answerPrefix: 'It is' });

test('a text that fits stays whole', () => {
  const order = { task: 't', length: 500, maxNewTokens: 10, meter: wordMeter() };
  assert.deepEqual(truncateMiddle(order, 'Short text.', frame), { text: 'Short text.', truncatedTokens: 0 });
});

test('a longer text keeps its start and its end, fills the room, and says what is missing', () => {
  for (const meter of [wordMeter(), byteMeter()]) {
    fc.assert(
      fc.property(
        fc.integer({ min: 60, max: 1500 }),
        fc.nat(100),
        fc.integer({ min: 60, max: 400 }),
        (count, seed, length) => {
          const text = words(count, seed);
          const {
            text: kept,
            removed,
            truncatedTokens,
          } = truncateMiddle({ task: 't', length, maxNewTokens: 20, meter }, text, frame);
          const used = meter.countPrompt(frame(kept));
          assert.ok(used <= length - 20);
          if (removed === undefined) return assert.equal(kept, text);
          assert.equal(kept, text.slice(0, removed.start) + text.slice(removed.end));
          assert.equal(truncatedTokens, meter.countPrompt(frame(text)) - used);
          assert.doesNotMatch(kept, /\p{Cs}/u, 'no half of a pair');
          // One character more would be over, but for the halves of a pair.
          const more = text.slice(0, removed.start) + text.slice(removed.end - 2);
          assert.ok(
            used >= length - 20 - 1 || meter.countPrompt(frame(more)) > length - 20,
            `${used} of ${length - 20}`,
          );
          const [head, tail] = [removed.start, text.length - removed.end];
          assert.ok(Math.abs(meter.count(text.slice(0, head)) - meter.count(text.slice(-tail))) <= 3);
        },
      ),
      { numRuns: 80 },
    );
  }
});

test('spans before the cut stay, spans behind it move, spans it hurt are gone', () => {
  const removed = { start: 10, end: 20 };
  const spans = [
    { start: 0, end: 10 },
    { start: 5, end: 12 },
    { start: 12, end: 15 },
    { start: 19, end: 25 },
    { start: 20, end: 24 },
  ];
  assert.deepEqual(spansAfterCut(spans, { removed }), [
    { start: 0, end: 10 },
    { start: 10, end: 14 },
  ]);
  assert.deepEqual(spansAfterCut(spans, {}), spans);
});

test('a length without room for any text is an error that names the least length', () => {
  const order = { task: 'qasper', length: 30, maxNewTokens: 20, meter: wordMeter() };
  assert.throws(
    () => truncateMiddle(order, words(100, 1), frame),
    /\[ERR_SUITE\] qasper: expected a length of at least \d+ tokens/,
  );
});

test('few counts are taken: the text is not tokenised once for each character', () => {
  let counts = 0;
  const meter = byteMeter();
  const counted: TokenMeter = {
    ...meter,
    count(text) {
      counts++;
      return meter.count(text);
    },
    countPrompt(prompt) {
      counts++;
      return meter.countPrompt(prompt);
    },
  };
  truncateMiddle({ task: 't', length: 4000, maxNewTokens: 20, meter: counted }, words(20_000, 3), frame);
  assert.ok(counts <= 60, `${counts} counts`);
});
