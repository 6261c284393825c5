import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatLength, parseFraction, parseLength } from './units.js';

test('lengths are whole numbers of tokens, with k and m as powers of 1024', () => {
  assert.deepEqual(
    ['4096', '4k', '4K', ' 1m ', '0.5k', '1.5k'].map(parseLength),
    [4096, 4096, 4096, 1048576, 512, 1536],
  );
  assert.equal(parseLength(1000), 1000);
});

test('what is no length is undefined', () => {
  for (const bad of [
    '',
    'k',
    '-1',
    '0',
    '4 k',
    '4kb',
    '1e3',
    '0.3',
    '4k-8k',
    '99999999999999999999',
    0,
    -4,
    1.5,
    Number.NaN,
  ]) {
    assert.equal(parseLength(bad), undefined, String(bad));
  }
});

test('a formatted length reads back as itself', () => {
  assert.deepEqual([512, 1000, 1024, 4096, 131072, 1048576].map(formatLength), [
    '512',
    '1000',
    '1k',
    '4k',
    '128k',
    '1m',
  ]);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 }), (tokens) => parseLength(formatLength(tokens)) === tokens),
  );
});

test('fractions lie above 0 and up to 1', () => {
  assert.deepEqual(['0.25', '25%', '.5', '1', '100%'].map(parseFraction), [0.25, 0.25, 0.5, 1, 1]);
  for (const bad of ['0', '1.1', '-0.5', 'half', '120%', '', 0, 2, Number.NaN])
    assert.equal(parseFraction(bad), undefined, String(bad));
});
