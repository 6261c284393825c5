import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createRandom } from '../../core/random.js';
import { makeChains, twoHopQa } from './two-hop-qa.js';
import { wordMeter } from './word-meter.js';

const make = (params: object, seed: number) =>
  [
    ...twoHopQa.generate({
      params: twoHopQa.parse(params),
      length: 1400,
      samples: 1,
      seed,
      meter: wordMeter(),
      maxNewTokens: 16,
    }),
  ][0]!;
const anyPeople = fc.integer({ min: 1, max: 20 });

test('following the two facts of the text from the question gives the one answer', () => {
  fc.assert(
    fc.property(anyPeople, fc.nat(1000), (people, seed) => {
      const { context, question, references } = make({ people }, seed);
      const asked = /mentor of (\w+ \w+) live/.exec(question)![1];
      const mentors = [...context.matchAll(/The mentor of (\w+ \w+) is (\w+ \w+)\./g)].filter(
        ([, person]) => person === asked,
      );
      assert.equal(mentors.length, 1);
      const homes = [...context.matchAll(/(\w+ \w+) lives in (\w+)\./g)].filter(
        ([, person]) => person === mentors[0]![2],
      );
      assert.deepEqual(
        homes.map(([, , city]) => city),
        references,
      );
    }),
    { numRuns: 60 },
  );
});

test('no name, bridge or city comes in two chains, and nobody is both person and bridge', () => {
  fc.assert(
    fc.property(anyPeople, fc.nat(10_000), (people, seed) => {
      const chains = makeChains(people, createRandom(seed));
      const names = chains.flatMap(({ person, bridge }) => [person, bridge]);
      assert.equal(new Set(names).size, 2 * people);
      assert.equal(new Set(chains.map(({ city }) => city)).size, people);
    }),
  );
});

test('every distractor shares a first name or a surname with the person asked for and with the bridge', () => {
  const [asked, ...others] = makeChains(5, createRandom(1));
  for (const { person, bridge } of others) {
    for (const [name, target] of [
      [person, asked!.person],
      [bridge, asked!.bridge],
    ] as const) {
      const shared = name.split(' ').filter((word) => target.split(' ').includes(word));
      assert.equal(shared.length, 1, `${name} and ${target}`);
    }
  }
});

test('evidence is the two facts of the chain asked for', () => {
  const { context, evidence, references, question } = make({ people: 4 }, 3);
  const facts = evidence.map(({ start, end }) => context.slice(start, end)).sort();
  assert.equal(facts.length, 2);
  const asked = /mentor of (\w+ \w+) live/.exec(question)![1];
  assert.ok(facts.some((fact) => fact.startsWith(`The mentor of ${asked} is `)));
  assert.ok(facts.some((fact) => fact.endsWith(` lives in ${references[0]}.`)));
});

test('the answer prefix names the bridge or does not', () => {
  assert.match(make({}, 0).answerPrefix, /^The mentor of \w+ \w+ is \w+ \w+, who lives in$/);
  assert.match(make({ answerPrefixNamesBridge: false }, 0).answerPrefix, /^The mentor of \w+ \w+ lives in$/);
});
