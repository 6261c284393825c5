import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Sample } from '../contract.js';
import { scorerById } from '../scorers/index.js';
import { findTask } from './index.js';
import { wordMeter } from './word-meter.js';

const make = (id: string, params: object = {}, seed = 0, length = 1500, index = 0): Sample => {
  const task = findTask(id)!;
  const order = { params: task.parse(params), length, samples: index + 1, first: index, seed, meter: wordMeter() };
  return [...task.generate({ ...order, maxNewTokens: 24 })][0]!;
};
const runs = { numRuns: Number(process.env.PROBE_RUNS ?? 60) };
const seeds = fc.nat(1_000_000);
const evidenceOf = ({ context, evidence }: Sample): string[] =>
  evidence.map(({ start, end }) => context.slice(start, end));
const score = (id: string, prediction: string, sample: Sample): number =>
  scorerById(findTask(id)!.scorer).score(prediction, sample);

test('needle_grid: the needle lies at the depth of its index, as a share of the sentences', () => {
  fc.assert(
    fc.property(seeds, fc.nat(30), fc.array(fc.nat(100), { minLength: 1, maxLength: 7 }), (seed, index, depths) => {
      const sample = make('needle_grid', { depths, keys: 3 }, seed, 1500, index);
      const depth = depths[index % depths.length]!;
      assert.equal(sample.meta.depth, depth);
      const [needle] = evidenceOf(sample) as [string];
      assert.ok(needle.includes(sample.references[0]!) && sample.evidence.length === 1);
      const text = sample.context.slice(sample.context.indexOf('\n') + 1);
      const before = text.slice(0, text.indexOf(needle));
      const isHay = (sentence: string): boolean => sentence !== '' && !sentence.includes('One of the secret');
      const count = (part: string): number => part.split(/(?<=[.!?]) /).filter(isHay).length;
      assert.equal(count(before), Math.floor((Number(sample.meta.haystackUnits) * depth) / 100));
      assert.equal(text.split('One of the secret').length - 1, 3);
    }),
    runs,
  );
});

test('passkey and number_string: the first digits of the text are the answer, in the line at its place', () => {
  fc.assert(
    fc.property(seeds, fc.nat(30), fc.constantFrom('passkey', 'number_string'), (seed, index, id) => {
      const sample = make(id, { places: 11 }, seed, 1500, index);
      const [number] = sample.references as [string];
      assert.match(number, id === 'passkey' ? /^\d{5}$/ : /^\d{10}$/);
      assert.deepEqual(new Set(sample.context.match(/\d+/g)), new Set([number]));
      const lines = sample.context.split('\n').slice(1);
      const at = lines.findIndex((line) => line.includes(number));
      assert.equal(at, Math.floor(((lines.length - 1) * (index % 11)) / 10));
      if (id === 'number_string') assert.ok(/(\d)\1/.test(number));
    }),
    runs,
  );
});

test('hash_hop: following the assignments of the text from the start ends at the reference, after as many lines as asked for', () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 1, max: 8 }), fc.boolean(), (seed, hops, chainOfThought) => {
      const sample = make('hash_hop', { hops, chainOfThought }, seed);
      const lines = [...sample.context.matchAll(/^(\w+) = ('?)(\w+)'?$/gm)];
      const next = new Map(lines.map(([, from, , to]) => [from!, to!]));
      assert.equal(next.size, lines.length, 'no name is assigned twice');
      const quoted = new Set(lines.filter(([, , quote]) => quote !== '').map(([, , , value]) => value!));
      const way: string[] = [/Start with (\w+)/.exec(sample.question)![1]!];
      while (next.has(way.at(-1)!)) way.push(next.get(way.at(-1)!)!);
      assert.equal(way.length, hops + 1);
      assert.ok(quoted.has(way.at(-1)!));
      assert.deepEqual(sample.references, chainOfThought ? way.slice(1) : way.slice(-1));
      assert.deepEqual(new Set(evidenceOf(sample).map((line) => line.split(' = ')[0])), new Set(way.slice(0, -1)));
    }),
    runs,
  );
});

test('mqar: no word is in two pairs, and the keys asked for have the references as values', () => {
  fc.assert(
    fc.property(seeds, fc.nat(20), fc.integer({ min: 1, max: 5 }), (seed, index, queries) => {
      const sample = make('mqar', { pairs: [4, 16, 64, 128], queries }, seed, 1500, index);
      const pairs = [...sample.context.matchAll(/^([a-z]+): ([a-z]+)$/gm)].map(([, key, value]) => [key!, value!]);
      const count = [4, 16, 64, 128][index % 4]!;
      assert.equal(pairs.length, count);
      assert.equal(new Set(pairs.flat()).size, 2 * count);
      const value = new Map(pairs as [string, string][]);
      const asked =
        queries === 1 ? [/"([a-z]+)"/.exec(sample.question)![1]!] : /: (.*)\?/.exec(sample.question)![1]!.split(', ');
      assert.deepEqual(
        asked.map((key) => value.get(key)),
        sample.references,
      );
      assert.equal(sample.meta.pairs, count);
      const others = pairs.filter(([key]) => !asked.includes(key!)).map(([, one]) => one!);
      assert.equal(score('mqar', others.join(' '), sample), 0);
    }),
    runs,
  );
});

test('mqar: 512 pairs can be made', () => {
  assert.equal(make('mqar', { pairs: [512] }, 1, 4000).meta.pairs, 512);
});

test('entity_binding: each entity stands once; the answer is the one bound to what the question names', () => {
  const kind = fc.constantFrom('person', 'thing', 'place');
  fc.assert(
    fc.property(seeds, fc.integer({ min: 2, max: 24 }), kind, kind, (seed, groups, ask, by) => {
      fc.pre(ask !== by);
      const sample = make('entity_binding', { groups, ask, by }, seed);
      const found = [...sample.context.matchAll(/(\w+) put the (\w+) into the (\w+)\./g)].map(
        ([, person, thing, place]) => ({ person: person!, thing: thing!, place: place! }),
      );
      assert.equal(found.length, groups);
      assert.equal(new Set(found.flatMap((one) => Object.values(one))).size, 3 * groups);
      const fitting = found.filter((one) => new RegExp(`\\b${one[by]}\\b`).test(sample.question));
      assert.deepEqual(
        fitting.map((one) => one[ask]),
        sample.references,
      );
      for (const word of sample.classes!)
        assert.equal(sample.context.split(new RegExp(`\\b${word}\\b`)).length, 2, word);
      assert.equal(sample.classes!.filter((word) => score('entity_binding', word, sample) === 1).length, 1);
    }),
    runs,
  );
});

test('grammar: after the two last words of the grammar only the reference ever comes, as often as shown', () => {
  fc.assert(
    fc.property(
      seeds,
      fc.record({
        plain: fc.integer({ min: 4, max: 12 }),
        ambiguous: fc.integer({ min: 2, max: 6 }),
        ambiguityDepth: fc.integer({ min: 1, max: 4 }),
        gap: fc.integer({ min: 0, max: 4 }),
        shown: fc.integer({ min: 1, max: 6 }),
      }),
      (seed, params) => {
        const sample = make('grammar', params, seed);
        const words = new Set(sample.classes);
        const ofGrammar = (text: string): string[] => text.split(' ').filter((word) => words.has(word));
        const [from, via, ...more] = ofGrammar(sample.answerPrefix) as [string, string];
        assert.deepEqual(more, []);
        const lines = sample.context.split('\n').slice(1).map(ofGrammar);
        const after = lines.flatMap((line) =>
          line.flatMap((word, i) => (word === via && line[i - 1] === from ? [line[i + 1]] : [])),
        );
        assert.deepEqual(after, new Array(params.shown).fill(sample.references[0]));
        assert.equal(sample.evidence.length, params.shown);
        for (const text of evidenceOf(sample)) assert.deepEqual(ofGrammar(text), [from, via, sample.references[0]]);
        // Every other transition is as deterministic, and seeing the last word alone is not enough where it should not be.
        const followers = new Map<string, Set<string>>();
        for (const line of lines)
          for (let i = 1; i + 1 < line.length; i += 2)
            followers.set(
              `${line[i - 1]} ${line[i]}`,
              (followers.get(`${line[i - 1]} ${line[i]}`) ?? new Set()).add(line[i + 1]!),
            );
        for (const [pair, next] of followers) assert.equal(next.size, 1, pair);
      },
    ),
    runs,
  );
});

test('copying: one line has the name asked for, and its words stand nowhere else', () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 1, max: 20 }), (seed, copied) => {
      const sample = make('copying', { copied }, seed);
      const lines = sample.context.split('\n').slice(1);
      const fitting = lines.filter((line) => line.startsWith(sample.answerPrefix));
      assert.deepEqual(fitting, [`${sample.answerPrefix} ${sample.references[0]}`]);
      assert.deepEqual(fitting, evidenceOf(sample));
      assert.equal(sample.references[0]!.split(' ').length, copied);
      const words = lines.flatMap((line) => line.split(/:? /));
      for (const word of fitting[0]!.split(/:? /)) assert.equal(words.filter((one) => one === word).length, 1);
    }),
    runs,
  );
});

test('list_recall: the continuation is the list of the text, its words in another order, or other words', () => {
  const sorted = (list: string): string[] => list.split(', ').sort();
  fc.assert(
    fc.property(
      seeds,
      fc.integer({ min: 3, max: 20 }),
      fc.constantFrom('same', 'permuted', 'other'),
      (seed, words, first) => {
        const sample = make('list_recall', { words, first }, seed);
        const [, stood] = /list of words: ([^.]*)\./.exec(sample.context)!;
        const [list] = sample.references as [string];
        assert.equal(sample.continuation, ` ${list}.`);
        assert.equal(list.split(', ').length, words);
        assert.equal(stood === list, first === 'same');
        if (first === 'other') assert.ok(!sorted(list).some((word) => sorted(stood!).includes(word)));
        else assert.deepEqual(sorted(stood!), sorted(list));
        assert.ok(evidenceOf(sample)[0]!.includes(stood!));
      },
    ),
    runs,
  );
});

test('entity_binding: no name of a thing or a place stands in the prose around', () => {
  for (let seed = 0; seed < 4; seed++) {
    const { context, classes } = make(
      'entity_binding',
      { groups: 24, ask: seed % 2 === 0 ? 'place' : 'thing', by: 'person' },
      seed,
      30_000,
    );
    for (const word of classes!) assert.equal(context.toLowerCase().split(word).length, 2, word);
  }
});
