import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { methodCards } from './cards.js';
import { methods } from './index.js';

const root = join(import.meta.dirname, '..');

test('docs/methods.md says what the adapters say', () => {
  const written = readFileSync(join(root, 'docs', 'methods.md'), 'utf8');
  assert.equal(written, methodCards(methods), 'Run: node --import tsx scripts/write-method-cards.ts');
});

test('every method has a card with its source, budget and parameters', () => {
  const cards = methodCards(methods);
  for (const method of methods) {
    const card = cards.split(`## ${method.name}\n`)[1]?.split('\n## ')[0] ?? '';
    assert.ok(card.includes(`\`${method.id}\``), method.id);
    assert.ok(card.includes(method.source.title), method.id);
    for (const text of method.deviations) assert.ok(card.includes(text), `${method.id}: ${text}`);
    for (const name of Object.keys(method.parameters.parse({})))
      assert.ok(card.includes(name), `${method.id}: ${name}`);
  }
});
