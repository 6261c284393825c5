import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KNOWN_FACTS, RELATIONS, type Relation } from './known-facts.js';

const relations = Object.keys(RELATIONS) as Relation[];
const of = (relation: Relation) => KNOWN_FACTS.filter((fact) => fact.relation === relation);

test('there are more than a hundred facts, at least twelve of each relation', () => {
  assert.ok(KNOWN_FACTS.length >= 100, String(KNOWN_FACTS.length));
  for (const relation of relations) assert.ok(of(relation).length >= 12, relation);
});

test('in a relation every subject has one value, every value one subject, and no name stands in another', () => {
  for (const relation of relations) {
    const names = of(relation).flatMap(({ subject, value }) => [subject, value]);
    for (const name of names) {
      assert.match(name, /^(?:the )?[A-Z][A-Za-z'-]*(?: [A-Za-z'-]+)*$/);
      assert.deepEqual(
        names.filter((other) => other.toLowerCase().includes(name.toLowerCase())),
        [name],
      );
    }
  }
});

test('every way of saying a fact names both, and colour names the subject only', () => {
  for (const { says, colour, question, answer } of Object.values(RELATIONS)) {
    for (const phrase of says)
      assert.ok(phrase.includes('{S}') && phrase.includes('{V}') && phrase.endsWith('.'), phrase);
    for (const phrase of colour)
      assert.ok(phrase.includes('{S}') && !phrase.includes('{V}') && phrase.endsWith('.'), phrase);
    assert.ok(question('X').endsWith('X?') && answer('X').includes('X'));
  }
});
