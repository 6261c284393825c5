import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { KNOWN_FACTS } from '../../datasets/known-facts.js';
import { scorerById } from '../scorers/index.js';
import { findTask } from './index.js';
import { wordMeter } from './word-meter.js';

const make = (seed: number, params: object = {}) => {
  const task = findTask('counterfactual')!;
  const order = { params: task.parse(params), length: 1500, samples: 1, seed, meter: wordMeter(), maxNewTokens: 16 };
  return [...task.generate(order)][0]!;
};
const count = (text: string, part: string): number => text.toLowerCase().split(part.toLowerCase()).length - 1;
const factOf = ({ question, meta }: ReturnType<typeof make>) =>
  KNOWN_FACTS.find(({ relation, subject }) => relation === meta.relation && question.endsWith(` ${subject}?`))!;

test('the context says another value than the known one, once, and the known one nowhere', () => {
  fc.assert(
    fc.property(fc.nat(100_000), fc.integer({ min: 0, max: 8 }), (seed, related) => {
      const sample = make(seed, { related });
      const { value, subject } = factOf(sample);
      const answer = sample.references[0]!;
      assert.deepEqual([sample.meta.prior, sample.classes], [value, [answer, value]]);
      assert.notEqual(answer, value);
      assert.deepEqual([count(sample.context, value), count(sample.context, answer)], [0, 1]);
      const [{ start, end }] = sample.evidence as [{ start: number; end: number }];
      const sentence = sample.context.slice(start, end);
      assert.ok(sentence.toLowerCase().includes(subject.toLowerCase()) && sentence.includes(answer), sentence);
    }),
    { numRuns: 100 },
  );
});

test('without contradiction the context says what is known', () => {
  fc.assert(
    fc.property(fc.nat(100_000), (seed) => {
      const sample = make(seed, { contradicts: false });
      assert.deepEqual(sample.references, [factOf(sample).value]);
      assert.equal(count(sample.context, sample.references[0]!), 1);
      assert.equal(sample.classes?.length, 2);
    }),
    { numRuns: 40 },
  );
});

test('answers of the context and answers from memory are told apart', () => {
  const sample = make(1);
  const [answer = '', prior = ''] = sample.classes!;
  const both = (text: string) => ['first-named', 'prior-answer'].map((id) => scorerById(id).score(text, sample));
  assert.deepEqual(both(` ${answer}, not ${prior}`), [1, 0]);
  assert.deepEqual(both(` ${prior}.`), [0, 1]);
  assert.deepEqual(both('something else'), [0, 0]);
});

test('the same seed tells the same samples on every machine', () => {
  const hash = createHash('sha256');
  for (let seed = 0; seed < 20; seed++) hash.update(JSON.stringify(make(seed)));
  assert.equal(hash.digest('hex'), '923def62a57f84e4d8a99364b8b9fb70579b5daeeb933f2f2d0417a868c55b4c');
});
