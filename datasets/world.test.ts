import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '../core/random.js';
import { FIRST_NAMES, SURNAMES } from './people.js';
import { createWorld, type EntityKind, FACTS_OF, LINKS, writeDocument } from './world.js';
import { COLOUR, PHRASES } from './world-phrases.js';

const KINDS: readonly EntityKind[] = ['person', 'organisation', 'town', 'event'];

const corpus = (seed: number, count: number) => {
  const random = createRandom('corpus', seed);
  const world = createWorld(random);
  const documents = Array.from({ length: count }, () => writeDocument(world, world.make(random.pick(KINDS)), random));
  return { world, documents };
};

/** A sentence with names, numbers and what can be drawn masked. */
const skeleton = (sentence: string): string =>
  sentence
    .replace(/\d[\d,]*/g, '#')
    .replace(/(?:\b[Tt]he )?[A-Z][\w]+(?: [A-Z]\w+)*/g, '@')
    .replace(
      /\bthe (?:town|event|museum|shipyard|publishing house|observatory|brewery|theatre|printing press|orchestra|botanical garden|glassworks|newspaper|conservatory|clockmaker|foundry|weaving mill|library)\b/gi,
      '@',
    )
    .replace(/\ban? (?:[a-z]+|publishing house|printing press|botanical garden|weaving mill)\b/g, 'a #');

test('no wording makes up more than 2 % of the sentences', () => {
  const { documents } = corpus(1, 2700);
  const counts = new Map<string, number>();
  let total = 0;
  for (const { text } of documents) {
    for (const sentence of text.split(/(?<=\.)\s+/).filter((one) => one !== '')) {
      const key = skeleton(sentence);
      counts.set(key, (counts.get(key) ?? 0) + 1);
      total++;
    }
  }
  const [most, times] = [...counts].sort(([, a], [, b]) => b - a)[0]!;
  assert.ok(total >= 20_000, `${total} sentences`);
  assert.ok(times / total <= 0.02, `${most}: ${((100 * times) / total).toFixed(2)} % of ${total} sentences`);
  assert.ok(counts.size > 120, `${counts.size} wordings`);
});

test('every document says every fact of its subject once, with its value', () => {
  const { world, documents } = corpus(2, 400);
  for (const { about, text, said } of documents) {
    const entity = world.entity(about)!;
    assert.deepEqual([...said.keys()].sort(), [...FACTS_OF[entity.kind]].sort());
    for (const [fact, { start, end }] of said) {
      const sentence = text.slice(start, end);
      assert.ok(sentence.toLowerCase().includes(world.factOf(entity, fact).toLowerCase()), `${fact}: ${sentence}`);
      assert.match(sentence, /^[A-Z0-9].*\.$/);
    }
    assert.ok(text.slice(0, Math.min(...[...said.values()].map(({ end }) => end))).length > 0);
    assert.ok(text.toLowerCase().includes(about.toLowerCase()), 'the subject is named in full');
  }
});

test('names are given once, and linked entities are of the kind that the fact asks for', () => {
  const { world, documents } = corpus(3, 400);
  assert.equal(new Set(documents.map(({ about }) => about)).size, documents.length);
  for (const { about } of documents) {
    const entity = world.entity(about)!;
    for (const fact of FACTS_OF[entity.kind]) {
      const kind = LINKS[fact];
      if (kind !== undefined) assert.equal(world.follow(entity, fact).kind, kind);
    }
  }
});

test('no name of one word stands in another one, in any case', () => {
  const random = createRandom('one word');
  const world = createWorld(random);
  const words = new Set([...FIRST_NAMES, ...SURNAMES].map((name) => name.toLowerCase()));
  for (let i = 0; i < 2500; i++) {
    const town = world.make('town');
    for (const name of [town.name, world.factOf(town, 'river')]) {
      assert.ok(!words.has(name.toLowerCase()), name);
      words.add(name.toLowerCase());
    }
  }
  for (const word of words) {
    for (let start = 0; start < word.length; start++) {
      for (let end = start + 1; end <= word.length; end++) {
        const part = word.slice(start, end);
        assert.ok(part === word || !words.has(part), `${part} stands in ${word}`);
      }
    }
  }
});

test('the same stream tells the same world, another one another', () => {
  const texts = (seed: number): string[] => corpus(seed, 20).documents.map(({ text }) => text);
  assert.deepEqual(texts(4), texts(4));
  assert.notDeepEqual(texts(4), texts(5));
});

test('a near name shares a part with the name that it is like', () => {
  const random = createRandom('like');
  const world = createWorld(random);
  for (const kind of ['person', 'organisation', 'event'] as const) {
    for (let i = 0; i < 30; i++) {
      const one = world.make(kind);
      const other = world.make(kind, one.name);
      const words = (name: string): string[] => name.replace(/^the /, '').split(' ');
      assert.ok(
        words(one.name).some((word) => words(other.name).includes(word)),
        `${one.name} and ${other.name}`,
      );
      assert.notEqual(one.name, other.name);
    }
  }
});

test('every way of saying a fact names subject and value, and colour names no value', () => {
  for (const phrases of Object.values(PHRASES))
    for (const phrase of phrases)
      assert.ok(phrase.includes('{V}') && phrase.includes('{S}') && phrase.endsWith('.'), phrase);
  for (const phrases of Object.values(COLOUR))
    for (const phrase of phrases)
      assert.ok(phrase.includes('{S}') && !phrase.includes('{V}') && phrase.endsWith('.'), phrase);
});
