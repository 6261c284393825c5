import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Sample } from '../contract.js';
import { scorerById } from '../scorers/index.js';
import { findTask } from './index.js';
import { wordMeter } from './word-meter.js';

const make = (id: string, params: object, seed: number, length = 6000): Sample => {
  const task = findTask(id)!;
  const order = { params: task.parse(params), length, samples: 1, seed, meter: wordMeter() };
  return [...task.generate(order)][0]!;
};
const runs = { numRuns: Number(process.env.PROBE_RUNS ?? 40) };
const sizes = fc.record({
  solved: fc.integer({ min: 0, max: 8 }),
  steps: fc.integer({ min: 9, max: 60 }),
  facts: fc.integer({ min: 1, max: 12 }),
});
const seeds = fc.nat(1_000_000);

/** The program of the text. */
const programOf = ({ context }: Sample): string[] =>
  [...context.matchAll(/^Step \d+: (.*)$/gm)].map(([, line]) => line!);

/** Everything a step looks up must be marked, and nothing that none does. */
const checkEvidence = (sample: Sample, facts: ReadonlySet<string>): void => {
  const marked = sample.evidence.map(({ start, end }) => sample.context.slice(start, end));
  const program = programOf(sample).map((line, i) => `Step ${i + 1}: ${line}`);
  assert.deepEqual(marked.slice(0, program.length), program);
  assert.deepEqual(new Set(marked.slice(program.length)), facts);
};
/** The given lines stand in the answer prefix, the others are the references. */
const checkAnswer = ({ answerPrefix, references, meta }: Sample, states: readonly string[]): void => {
  const lines = states.map((state, i) => `Step ${i + 1}: ${state}`);
  const solved = Number(meta.solved);
  assert.deepEqual(references, lines.slice(solved));
  assert.equal(answerPrefix, [...lines.slice(0, solved), `Step ${solved + 1}:`].join('\n'));
};

test('register_tracking: a machine that reads the text alone writes the references', () => {
  fc.assert(
    fc.property(seeds, sizes, fc.integer({ min: 2, max: 6 }), (seed, size, registers) => {
      const sample = make('register_tracking', { ...size, registers }, seed);
      const start = /At the start, (.*)\./.exec(sample.context)![1]!;
      const state = new Map([...start.matchAll(/([A-Z]) = (\d+)/g)].map(([, name, value]) => [name!, Number(value)]));
      const codes = new Map(
        [...sample.context.matchAll(/The code of (\w+) is (\d+)\./g)].map(([text, word, code]) => [
          word!,
          { text, code },
        ]),
      );
      assert.equal(codes.size, size.facts);
      const used = new Set<string>();
      const states = programOf(sample).map((line) => {
        const [verb, a, , b] = line.split(' ') as [string, string, string, string];
        if (verb === 'copy') state.set(b, state.get(a)!);
        else if (verb === 'swap') {
          const kept = state.get(a)!;
          state.set(a, state.get(b)!).set(b, kept);
        } else if (line.includes('the code of')) {
          const fact = codes.get(line.split(' ').at(-1)!)!;
          used.add(fact.text);
          state.set(a, Number(fact.code));
        } else state.set(a, Number(b));
        return `${line}; ${[...state].map(([name, value]) => `${name} = ${value}`).join(', ')}`;
      });
      checkAnswer(sample, states);
      checkEvidence(sample, used);
    }),
    runs,
  );
});

test('list_transformation: a machine that reads the text alone writes the references', () => {
  fc.assert(
    fc.property(seeds, sizes, fc.integer({ min: 2, max: 8 }), (seed, size, items) => {
      const sample = make('list_transformation', { ...size, items }, seed);
      let list = /At the start the list is (.*)\./.exec(sample.context)![1]!.split(', ');
      const partners = new Map(
        [...sample.context.matchAll(/The partner of (\w+) is (\w+)\./g)].map(([text, word, to]) => [
          word!,
          { text, to: to! },
        ]),
      );
      const used = new Set<string>();
      const states = programOf(sample).map((line) => {
        const places = [...line.matchAll(/item (\d+)/g)].map(([, place]) => Number(place) - 1);
        if (line.startsWith('swap')) {
          const [a, b] = places as [number, number];
          list = list.with(a, list[b]!).with(b, list[a]!);
        } else if (line.startsWith('move')) list = [...list.slice(1), list[0]!];
        else {
          const fact = partners.get(/partner of (\w+)/.exec(line)?.[1] ?? '');
          if (fact !== undefined) used.add(fact.text);
          list = list.with(places[0]!, fact?.to ?? line.split(' ').at(-1)!);
        }
        return `${line}; ${list.join(', ')}`;
      });
      checkAnswer(sample, states);
      assert.ok(states.every((state) => new Set(state.split('; ')[1]!.split(', ')).size === items));
      checkEvidence(sample, used);
    }),
    runs,
  );
});

test('recipe_steps: a machine that reads the text and its own earlier lines writes the references', () => {
  fc.assert(
    fc.property(seeds, sizes, (seed, size) => {
      const sample = make('recipe_steps', size, seed);
      const weights = new Map(
        [...sample.context.matchAll(/One cup of (\w+) weighs (\d+) grams\./g)].map(([text, name, grams]) => [
          name!,
          { text, grams },
        ]),
      );
      const used = new Set<string>();
      const bowls: string[] = [];
      const states = programOf(sample).map((line) => {
        const [, name, named, earlier] = /^(\w+), into the (?:(\w+) bowl|bowl of step (\d+))$/.exec(line)!;
        bowls.push(named ?? bowls[Number(earlier) - 1]!);
        used.add(weights.get(name!)!.text);
        return `${line}; one cup of ${name} weighs ${weights.get(name!)!.grams} grams, ${bowls.at(-1)} bowl`;
      });
      checkAnswer(sample, states);
      checkEvidence(sample, used);
    }),
    runs,
  );
});

test('a step never leaves the state as it was, and the whole answer fits its room', () => {
  const ids = fc.constantFrom('register_tracking', 'list_transformation', 'recipe_steps');
  fc.assert(
    fc.property(ids, seeds, fc.integer({ min: 9, max: 100 }), (id, seed, steps) => {
      const sample = make(id, { steps }, seed);
      assert.equal(sample.references.length, steps - 2);
      assert.ok(wordMeter().count(sample.references.join('\n')) <= sample.maxNewTokens);
      const states = sample.references.map((line) => line.split('; ')[1]);
      if (id !== 'recipe_steps') assert.ok(states.every((state, i) => state !== states[i - 1]));
      const { score } = scorerById('right-steps');
      assert.equal(score(sample.references.join('\n').slice('Step 3:'.length), sample), 1);
      for (const stop of sample.stop) assert.ok(!sample.references.join('\n').includes(stop));
    }),
    runs,
  );
});

test('answers grow with the steps: about 0.5K to 8K tokens', () => {
  const tokens = (steps: number): number => make('register_tracking', { steps, registers: 3 }, 0, 40_000).maxNewTokens;
  assert.ok(tokens(32) > 400 && tokens(512) > 8000);
});
