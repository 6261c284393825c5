import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { findTask } from './index.js';
import { DEPTHS } from './insert-needles.js';
import { wordMeter } from './word-meter.js';

const make = (id: string, params: object = {}, seed = 0, index = 0, length = 800) => {
  const task = findTask(id)!;
  const options = {
    params: task.parse(params),
    length,
    samples: index + 1,
    first: index,
    seed,
    meter: wordMeter(),
    maxNewTokens: 16,
  };
  return [...task.generate(options)][0]!;
};
const NEEDLE = /One of the secret (\w+) for (\S+) is: (\S+)\./g;

test('one value asked for: the wording is in the singular, the needle keeps its plural', () => {
  const { context, question, answerPrefix } = make('niah_single_2');
  const [, , key] = [...context.matchAll(NEEDLE)][0]!;
  assert.match(context, /^A secret number is hidden in the following text\. /);
  assert.match(context, /One of the secret numbers for /);
  assert.equal(question, `\nWhat is the secret number for ${key} in the text above?`);
  assert.equal(answerPrefix, `The secret number for ${key} in the text above is`);
});

test('several values asked for: the wording is in the plural and lists the keys', () => {
  const { context, question, answerPrefix, references, evidence } = make('niah_multikey_1', {
    keys: 5,
    values: 2,
    queries: 3,
  });
  assert.match(context, /^Some secret numbers are hidden /);
  assert.match(question, /^\nWhat are all the secret numbers for \S+, \S+, and \S+ in the text above\?$/);
  assert.match(answerPrefix, /are$/);
  assert.equal(references.length, 6);
  assert.equal(evidence.length, 6);
  assert.match(make('niah_multikey_1', { keys: 2, queries: 2 }).question, / for \S+ and \S+ in /);
});

test('there are keys x values needles and only those of the asked key are evidence', () => {
  const shape = fc.record({ keys: fc.integer({ min: 1, max: 6 }), values: fc.integer({ min: 1, max: 3 }) });
  fc.assert(
    fc.property(shape, fc.nat(500), (params, seed) => {
      const { context, evidence, references, question } = make('niah_multikey_1', params, seed);
      const needles = [...context.matchAll(NEEDLE)].map(([text, , key, value]) => ({ text, key: key!, value: value! }));
      assert.equal(needles.length, params.keys * params.values);
      assert.equal(new Set(needles.map(({ key }) => key)).size, params.keys);
      const asked = needles.filter(({ key }) => question.includes(` ${key} `));
      assert.deepEqual(asked.map(({ value }) => value).sort(), [...references].sort());
      assert.deepEqual(
        evidence.map(({ start, end }) => context.slice(start, end)),
        asked.map(({ text }) => text),
      );
    }),
    { numRuns: 50 },
  );
});

test('no key is part of another, so a distractor never answers', () => {
  fc.assert(
    fc.property(fc.nat(2000), (seed) => {
      const keys = [...make('niah_multikey_1', { keys: 20 }, seed).context.matchAll(NEEDLE)].map(([, , key]) => key!);
      for (const key of keys) assert.equal(keys.filter((other) => other.includes(key)).length, 1);
    }),
    { numRuns: 30 },
  );
});

test('numbers have seven digits, UUIDs are of version 4, keys are an adjective and a noun', () => {
  assert.match(make('niah_single_1').references[0]!, /^[1-9]\d{6}$/);
  assert.match(
    make('niah_single_3').references[0]!,
    /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/,
  );
  assert.match(make('niah_single_2').question, / for [a-z]+-[a-z]+ in /);
  assert.match(make('niah_multikey_1', { keyType: 'uuids', valueType: 'words' }).references[0]!, /^[a-z]+-[a-z]+$/);
});

test('needles lie at the depth that the sample states, over the whole grid', () => {
  assert.equal(DEPTHS.length, 40);
  const seen = new Set<number>();
  for (let index = 0; index < 150; index++) {
    const { context, evidence, meta } = make('niah_single_1', {}, 0, index, 2000);
    const depth = Number(meta.depth);
    seen.add(depth);
    const measured = (100 * evidence[0]!.start) / context.length;
    assert.ok(Math.abs(measured - depth) < 8, `${measured} % for a depth of ${depth} %`);
  }
  assert.ok(seen.size > 34 && seen.has(0) && seen.has(100), `${seen.size} depths`);
});

test('the noise haystack is one line over and over, the essay differs between samples', () => {
  const lines = make('niah_single_1')
    .context.split('\n')
    .slice(1)
    .filter((line) => !line.startsWith('One of the secret'));
  assert.ok(lines.length > 10);
  assert.equal(new Set(lines).size, 1);
  const [first, second] = [make('niah_single_2', {}, 0, 0), make('niah_single_2', {}, 0, 1)];
  assert.notEqual(first.context.slice(200, 400), second.context.slice(200, 400));
});

test('a text file can be the haystack, over and over when it is short', () => {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-haystack-'));
  const file = join(folder, 'mine.txt');
  try {
    writeFileSync(file, 'My first\n sentence is “this.” Is the second\tone longer? Yes!');
    const { context } = make('niah_single_2', { haystack: { file } });
    const sentences = context.split('\n')[1]!.replace(NEEDLE, '').replace(/\s+/g, ' ');
    assert.ok(sentences.includes('My first sentence is “this.” Is the second one longer? Yes! My first sentence'));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('asking for more keys than there are, or for more needles than places, is refused', () => {
  const task = findTask('niah_multikey_1')!;
  assert.throws(
    () => task.parse({ keys: 2, queries: 3 }),
    /niah_multikey_1 queries: expected at most keys \(2\), got 3/,
  );
  assert.throws(
    () => task.parse({ keys: 20, values: 3 }),
    /niah_multikey_1 keys: expected keys x values \(60\) of at most 40/,
  );
  assert.throws(
    () => task.parse({ haystack: 'novel' }),
    /niah_multikey_1 haystack: expected one of noise, essay, got "novel"/,
  );
});

test('the same seed gives the same bytes on every machine', () => {
  // Recorded once. If one changes, results change: raise the version of the task.
  const hashes = ['niah_single_1', 'niah_single_2', 'niah_single_3', 'niah_multikey_1', 'vt', 'two_hop_qa'].map(
    (id) => {
      const { context, question, answerPrefix, references } = make(id, {}, 42, 3);
      return createHash('sha256')
        .update(JSON.stringify([context, question, answerPrefix, references]))
        .digest('hex')
        .slice(0, 8);
    },
  );
  assert.deepEqual(hashes, RECORDED);
});

const RECORDED = ['4df79390', '76673b09', '9381d89c', 'bddf27d1', 'fba46341', '39b1ce44'];
