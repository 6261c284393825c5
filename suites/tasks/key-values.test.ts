import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findTask } from './index.js';
import { wordMeter } from './word-meter.js';

const make = (id: string, params: object = {}, seed = 0, length = 1500) => {
  const task = findTask(id)!;
  const order = { params: task.parse(params), length, samples: 1, seed, meter: wordMeter(), maxNewTokens: 24 };
  return [...task.generate(order)][0]!;
};

const pairsOf = (context: string): [string, string][] =>
  [...context.matchAll(/"([^"]+)": "([^"]+)"/g)].map(([, key, value]) => [key!, value!]);

const tokens = fc.constantFrom('uuids', 'words', 'numbers');
const direction = fc.constantFrom('forward', 'backward', 'random');
const placement = fc.constantFrom('random', 'clustered');

test('the object is one that a parser takes, and looking the keys up gives the references', () => {
  fc.assert(
    fc.property(tokens, fc.integer({ min: 1, max: 6 }), placement, fc.nat(500), (kind, keys, where, seed) => {
      const { context, question, references } = make('kv_multi', { tokens: kind, keys, placement: where }, seed);
      const object = JSON.parse(context.slice(context.indexOf('{'))) as Record<string, string>;
      assert.equal(Object.keys(object).length, pairsOf(context).length, 'no key twice');
      const asked = [...question.matchAll(/"([^"]+)"/g)].map(([, key]) => key!);
      assert.deepEqual(
        asked.map((key) => object[key]),
        references,
      );
    }),
    { numRuns: 40 },
  );
});

test('the marked keys are those of the references and no others', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.nat(500), (keys, seed) => {
      const { context, question, references } = make('kv_conditional', { keys }, seed);
      const mark = /the character (.) in/.exec(question)![1]!;
      const marked = pairsOf(context).filter(([key]) => key.includes(mark));
      assert.deepEqual(marked.map(([, value]) => value).sort(), [...references].sort());
      assert.equal(pairsOf(context).filter(([, value]) => value.includes(mark)).length, 0);
    }),
    { numRuns: 40 },
  );
});

test('following a thread ends at the reference, after as many steps as asked for, in the direction asked for', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 8 }),
      direction,
      fc.nat(500),
      (keys, steps, way, seed) => {
        const sample = make('multi_threading', { keys, steps, direction: way }, seed, 2500);
        const pairs = pairsOf(sample.context);
        const starts = [...sample.question.matchAll(/"([^"]+)"/g)].map(([, key]) => key!);
        const ends = starts.map((start) => {
          const places: number[] = [];
          let key = start;
          for (
            let at = pairs.findIndex(([one]) => one === key);
            at >= 0;
            at = pairs.findIndex(([one]) => one === key)
          ) {
            places.push(at);
            key = pairs[at]![1];
          }
          assert.equal(places.length, steps);
          const sorted = places.toSorted((a, b) => a - b);
          if (way === 'forward') assert.deepEqual(places, sorted);
          if (way === 'backward') assert.deepEqual(places, sorted.toReversed());
          return key;
        });
        assert.deepEqual(ends, sample.references);
      },
    ),
    { numRuns: 40 },
  );
});

test('the longest branch is the reference, and every step before the last has a branch that ends at once', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 8 }), direction, fc.nat(500), (steps, way, seed) => {
      const { context, question, references } = make('branched_threading', { steps, direction: way }, seed, 2500);
      const pairs = pairsOf(context);
      const longest = (key: string): string[] => {
        const branches = pairs.filter(([one]) => one === key).map(([, value]) => longest(value));
        return [key, ...branches.reduce((best, one) => (one.length > best.length ? one : best), [] as string[])];
      };
      const start = /start with "([^"]+)"/.exec(question)![1]!;
      const path = longest(start);
      assert.equal(path.length, steps + 1);
      assert.equal(path.at(-1), references[0]);
      for (const key of path.slice(0, steps - 1)) assert.equal(pairs.filter(([one]) => one === key).length, 2);
    }),
    { numRuns: 40 },
  );
});

test('clustered pairs lie side by side', () => {
  const { context, references } = make('kv_multi', { placement: 'clustered' }, 3);
  const places = references
    .map((value) => pairsOf(context).findIndex(([, one]) => one === value))
    .sort((a, b) => a - b);
  assert.equal(places.at(-1)! - places[0]!, references.length - 1);
});

test('more pairs than places are refused', () => {
  assert.throws(() => findTask('multi_threading')!.parse({ keys: 20, steps: 5 }), /keys x steps \(100\) of at most 40/);
});
