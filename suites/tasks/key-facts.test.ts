import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { scorerById } from '../scorers/index.js';
import { findTask } from './index.js';
import { wordMeter } from './word-meter.js';

const make = (seed: number, params: object = {}) => {
  const task = findTask('key_facts')!;
  const order = { params: task.parse(params), length: 2600, samples: 1, seed, meter: wordMeter(), maxNewTokens: 64 };
  return [...task.generate(order)][0]!;
};

test('every key fact is one sentence of evidence that names the person and the key, and is told once', () => {
  fc.assert(
    fc.property(
      fc.nat(100_000),
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 0, max: 3 }),
      (seed, facts, nearMisses) => {
        const sample = make(seed, { facts, nearMisses });
        const person = /about (.*)\. Mention/.exec(sample.question)![1]!;
        const sentences = sample.evidence.map(({ start, end }) => sample.context.slice(start, end));
        assert.deepEqual([sentences.length, sample.references.length], [facts, facts]);
        assert.equal(new Set(sample.references).size, facts);
        for (const key of sample.references) {
          const saying = sentences.filter((sentence) => sentence.includes(key));
          assert.equal(saying.length, 1, key);
          assert.ok(saying[0]!.includes(person), saying[0]);
          assert.ok(!sample.question.includes(key));
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('the score is the share of key facts named', () => {
  const sample = make(3, { facts: 4 });
  const { score } = scorerById('fact-recall');
  assert.equal(score(`He knew ${sample.references.slice(0, 3).join(' and ')}.`, sample), 3 / 4);
  assert.equal(score(sample.question, sample), 0);
});

test('the same seed tells the same samples on every machine', () => {
  const hash = createHash('sha256');
  for (let seed = 0; seed < 20; seed++) hash.update(JSON.stringify(make(seed, { facts: 1 + (seed % 7) })));
  assert.equal(hash.digest('hex'), 'fa51dcbffda9fd21fa5ed20a448e034560615805d7d1e2e1387ba4dde85e4371');
});
