import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findTask } from './index.js';
import { wordMeter } from './word-meter.js';

const make = (hops: number, seed: number, params: object = {}) => {
  const task = findTask(`room_facts_${hops}`)!;
  const order = { params: task.parse(params), length: 1200, samples: 1, seed, meter: wordMeter(), maxNewTokens: 16 };
  return [...task.generate(order)][0]!;
};

const FACT =
  /\b([A-Z][a-z]+) (went|moved|travelled|journeyed|picked up|took|grabbed|put down|dropped|left) (?:to the|the) (\w+)( there)?\./g;

/** Replays the facts of a text, with or without those outside of `spans`: rooms of people, and of things one after the other. */
const replay = (text: string) => {
  const people = new Map<string, string>();
  const things = new Map<string, string[]>();
  const holder = new Map<string, string>();
  for (const [, person, verb, what] of text.matchAll(FACT) as Iterable<string[]>) {
    if (/went|moved|travelled|journeyed/.test(verb!)) {
      people.set(person!, what!);
      for (const [thing, by] of holder) if (by === person) things.get(thing)!.push(what!);
    } else if (/picked up|took|grabbed/.test(verb!)) {
      holder.set(what!, person!);
      const room = people.get(person!);
      const stays = things.get(what!) ?? [];
      if (room !== undefined && stays.at(-1) !== room) stays.push(room);
      things.set(what!, stays);
    } else holder.delete(what!);
  }
  return { people, things };
};

test('replaying the text gives the reference, and the evidence alone gives it too', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 }), fc.nat(2000), (hops, seed) => {
      const { context, question, references, evidence } = make(hops, seed);
      const support = evidence.map(({ start, end }) => context.slice(start, end)).join(' ');
      for (const text of [context, support]) {
        const { people, things } = replay(text);
        const person = /Where is (\w+) now/.exec(question)?.[1];
        const thing = /Where (?:is|was) the (\w+)/.exec(question)?.[1];
        if (hops === 1) assert.equal(people.get(person!), references[0]);
        else if (hops === 2) assert.equal(things.get(thing!)!.at(-1), references[0]);
        else {
          const before = /before the (\w+)/.exec(question)![1]!;
          const stays = things.get(thing!)!;
          assert.equal(stays.at(-1), before);
          assert.equal(stays.at(-2), references[0]);
        }
      }
    }),
    { numRuns: 150 },
  );
});

test('more hops need more facts', () => {
  const mean = (hops: number): number => {
    let sum = 0;
    for (let seed = 0; seed < 20; seed++) sum += make(hops, seed).evidence.length;
    return sum / 20;
  };
  assert.equal(mean(1), 1);
  assert.equal(mean(2), 2);
  assert.ok(mean(3) >= 3);
});

test('there are as many facts as asked for, in the text in the order in which they happened', () => {
  const { context } = make(2, 5, { facts: 20, people: 4 });
  assert.equal([...context.matchAll(FACT)].length, 20);
});
