import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson, contentHash, describeDifferences } from './canonical-json.js';

test('keys are sorted by code units, at every depth, and spaces are left out', () => {
  assert.equal(
    canonicalJson({ b: [1, { z: null, a: 'x' }], a: true, '\u20ac': 1, '\r': 2 }),
    '{"\\r":2,"a":true,"b":[1,{"a":"x","z":null}],"€":1}',
  );
});

test('numbers have their shortest round-trip spelling and minus zero is zero', () => {
  assert.equal(canonicalJson([0.1, 1e21, 1e-7, -0, 100, 4.5]), '[0.1,1e+21,1e-7,0,100,4.5]');
});

test('values that JSON cannot hold are refused with their place', () => {
  assert.throws(() => canonicalJson({ a: [1, Number.NaN] }), {
    code: 'ERR_INTERNAL',
    message: /canonicalJson\.a\[1\]/,
  });
  assert.throws(() => canonicalJson({ f: () => 1 }), { code: 'ERR_INTERNAL' });
});

test('parsing gives the value back and member order never changes the hash', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      const plain: unknown = JSON.parse(JSON.stringify(value));
      assert.deepEqual(JSON.parse(canonicalJson(plain)), plain);
      assert.equal(contentHash(reversed(plain)), contentHash(plain));
    }),
  );
});

test('differences are named by path, old value and new value', () => {
  const before = { seed: 1, suite: { lengths: [512, 1024] }, model: 'a' };
  const after = { seed: 2, suite: { lengths: [512, 2048] }, model: 'a', limit: 3 };
  assert.deepEqual(describeDifferences(before, after), [
    'limit: nothing -> 3',
    'seed: 1 -> 2',
    'suite.lengths[1]: 1024 -> 2048',
  ]);
  assert.deepEqual(describeDifferences(before, { ...before }), []);
});

const reversed = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, reversed(member)]),
  );
};
