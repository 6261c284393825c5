import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WinnowError } from '../../core/errors.js';
import type { Sample, Task } from '../contract.js';
import { scorerById } from '../scorers/index.js';
import { generatedTasks, tasks } from './index.js';
import { byteMeter, wordMeter } from './word-meter.js';

const MAX_NEW_TOKENS = 24;
const draw = (
  task: Task,
  length: number,
  seed: number,
  index: number,
  params: object = {},
  meter = wordMeter(),
): Sample => {
  const options = {
    params: task.parse(params),
    length,
    samples: index + 1,
    first: index,
    seed,
    meter,
    maxNewTokens: MAX_NEW_TOKENS,
  };
  return [...task.generate(options)][0]!;
};
const holdsUuids = ({ id, family }: Task): boolean => family === 'key-values' || id === 'niah_multikey_3';
/** What they ask for is worked out, or stands in the question as well: these have tests of their own. */
const isDerived = ({ id, family }: Task): boolean =>
  ['facts', 'long-generation', 'global', 'dialogue'].includes(family) ||
  ['grammar', 'world_comparison', 'world_intersection', 'world_abstention', 'key_facts'].includes(id);
/** Tasks of real data have tests of their own. */
const generated = generatedTasks();
const anyTask = fc.constantFrom(...generated);
const anyPlace = [anyTask, fc.integer({ min: 1500, max: 2200 }), fc.nat(1000), fc.nat(200)] as const;
const runs = { numRuns: 60 };

test('every reference stands in an evidence span, and nowhere else in the context', () => {
  fc.assert(
    fc.property(...anyPlace, (task, length, seed, index) => {
      fc.pre(!isDerived(task));
      const { context, evidence, references } = draw(task, length, seed, index);
      assert.ok(evidence.length > 0 && references.length > 0);
      let outside = context;
      for (const { start, end } of [...evidence].reverse()) outside = outside.slice(0, start) + outside.slice(end);
      for (const reference of references) {
        assert.ok(
          evidence.some(({ start, end }) => context.slice(start, end).includes(reference)),
          reference,
        );
        assert.ok(!outside.includes(reference), `${reference} outside of the evidence`);
      }
    }),
    runs,
  );
});

test('evidence spans are in order, apart, and inside the context', () => {
  fc.assert(
    fc.property(...anyPlace, (task, length, seed, index) => {
      const { context, evidence } = draw(task, length, seed, index);
      let last = 0;
      for (const { start, end } of evidence) {
        assert.ok(start >= last && end > start && end <= context.length);
        assert.match(context.slice(start, end), /^\S.*\S$/);
        last = end;
      }
    }),
    runs,
  );
});

test('the prompt leaves room for the answer, and one more unit of haystack would not', () => {
  for (const meter of [wordMeter(), byteMeter()]) {
    fc.assert(
      fc.property(...anyPlace, (task, length, seed, index) => {
        const sample = draw(task, length, seed, index, {}, meter);
        // Further turns need room as well: their test is in turns.test.ts.
        fc.pre(task.family !== 'multi-turn');
        const unused = length - meter.countPrompt(sample) - MAX_NEW_TOKENS;
        // The longest sentence of the prose has about 40 tokens, a line of two UUIDs twice as many, a document up to 200.
        assert.ok(
          unused >= 0 &&
            unused < (['world', 'global', 'dialogue'].includes(task.family) ? 320 : holdsUuids(task) ? 100 : 45),
          `${task.id}: ${unused} tokens of ${length} are not used`,
        );
      }),
      runs,
    );
  }
});

test('a sample depends on parameters, length, seed and index only, not on the samples before it', () => {
  for (const task of generated) {
    const options = {
      params: task.defaults,
      length: 1500,
      samples: 3,
      seed: 5,
      meter: wordMeter(),
      maxNewTokens: MAX_NEW_TOKENS,
    };
    const samples = [...task.generate(options)];
    assert.deepEqual(
      samples.map(({ id }) => id),
      ['00000', '00001', '00002'],
    );
    assert.deepEqual([...task.generate({ ...options, first: 2 })], samples.slice(2));
    assert.deepEqual([...task.generate(options)], samples);
    const contexts = new Set(
      [...samples, draw(task, 1500, 6, 0), draw(task, 1501, 5, 0)].map(({ context }) => context),
    );
    assert.equal(contexts.size, 5, `${task.id} draws something new for every index, seed and length`);
  }
});

test('the scorer gives 1 for the references, also in a sentence, and 0 for nothing', () => {
  for (const task of generated) {
    const sample = draw(task, 1500, 0, 0);
    const { score } = scorerById(task.scorer);
    assert.equal(score(sample.references.join(' '), sample), 1);
    assert.equal(score(` ${sample.references.join(', ')}. More text`, sample), 1);
    assert.equal(score('', sample), 0);
  }
});

test('the question and the answer prefix do not give the answer away', () => {
  for (const task of generated) {
    // A comparison names both candidates, and whoever does not abstain is right where there is an answer.
    if (['world_comparison', 'dialogue_temporal'].includes(task.id) || task.scorer === 'abstention') continue;
    const sample = draw(task, 1500, 0, 0);
    assert.equal(scorerById(task.scorer).score(sample.question + sample.answerPrefix, sample), 0);
  }
});

test('samples are made one at a time: the first of a billion comes at once', () => {
  for (const task of generated) {
    const options = {
      params: task.defaults,
      length: 1500,
      samples: 1e9,
      seed: 0,
      meter: wordMeter(),
      maxNewTokens: MAX_NEW_TOKENS,
    };
    for (const sample of task.generate(options)) {
      assert.equal(sample.id, '00000');
      break;
    }
  }
});

test('parameters are strict and name the task and the key', () => {
  for (const task of generated) {
    assert.throws(
      () => task.parse({ nonsense: 1 }),
      (error) =>
        error instanceof WinnowError &&
        error.code === 'ERR_SUITE' &&
        error.message.startsWith(`[ERR_SUITE] ${task.id} nonsense: `),
    );
    assert.deepEqual(task.parse(undefined), task.defaults);
    assert.deepEqual(task.parse(JSON.parse(JSON.stringify(task.defaults))), task.defaults);
  }
});

test('a length that is too short is an error that names the least length', () => {
  for (const task of generated) {
    assert.throws(
      () => draw(task, 60, 0, 0),
      new RegExp(`^WinnowError: \\[ERR_SUITE\\] ${task.id}: expected a length of at least \\d+ tokens`),
    );
  }
});

test('every task says where it comes from', () => {
  const ids = tasks().map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  for (const { description, source } of tasks())
    assert.ok(description.endsWith('.') && source.title !== '' && source.licence !== '');
});
