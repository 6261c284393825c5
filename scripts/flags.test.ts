import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  batchSizes,
  choice,
  flag,
  fractions,
  length,
  lengths,
  memory,
  names,
  required,
  text,
  tokenIds,
  whole,
} from './flags.js';

const refused = (run: () => unknown, message: RegExp): void => {
  assert.throws(run, (error: Error & { code?: string }) => error.code === 'ERR_USAGE' && message.test(error.message));
};

test('lists come by comma or repetition, in order and without repeats', () => {
  assert.deepEqual(names('Methods.', 'NAME').parse(['snapkv,random', 'quest', 'random'], '--method'), [
    'snapkv',
    'random',
    'quest',
  ]);
  assert.deepEqual(fractions('Kept.').parse(['0.5', '25%'], '--kept-fraction'), [0.5, 0.25]);
  assert.deepEqual(lengths('Lengths.').parse(['4k,1000'], '--length'), [4096, 1000]);
});

test('a list that was not given is undefined, so that the suite decides', () => {
  assert.equal(names('Methods.', 'NAME').parse([], '--method'), undefined);
  assert.equal(lengths('Lengths.').parse([], '--length'), undefined);
});

test('an empty word between commas is refused', () => {
  refused(() => names('Methods.', 'NAME').parse(['a,,b'], '--method'), /values between commas/);
});

test('whole numbers refuse words, fractions of one and what is below the minimum', () => {
  const limit = whole('Cap.', 'N', 1);
  assert.equal(limit.parse(['20'], '--limit'), 20);
  for (const word of ['abc', '1.5', '0', '-3', '1e3', '99999999999999999999']) {
    refused(() => limit.parse([word], '--limit'), /--limit: expected a whole number of 1 or more/);
  }
});

test('batches are rows up to the most there can be, or largest; memory has a unit', () => {
  const sizes = batchSizes('Rows.', 64);
  assert.deepEqual(sizes.parse(['1,4', 'largest'], '--batch'), [1, 4, 'largest']);
  assert.equal(sizes.parse([], '--batch'), undefined);
  for (const word of ['0', '65', 'most']) refused(() => sizes.parse([word], '--batch'), /--batch/);
  assert.equal(memory('Bytes.').parse(['8g'], '--memory'), 8 * 2 ** 30);
  refused(() => memory('Bytes.').parse(['8 gigs'], '--memory'), /--memory: expected bytes/);
});

test('fractions kept lie above 0 and at most 1', () => {
  for (const word of ['0', '1.01', 'half', '-0.5'])
    refused(() => fractions('Kept.').parse([word], '--kept-fraction'), /fraction kept/);
});

test('a length with an unknown unit is refused with an example', () => {
  refused(() => length('Length.').parse(['4kb'], '--length'), /Write --length 4k/);
});

test('a flag with one value refuses two', () => {
  refused(() => text('Folder.', 'DIR').parse(['a', 'b'], '--out'), /--out: expected one value, got "a b"/);
});

test('a choice that does not exist names the nearest that does', () => {
  refused(() => choice('How.', ['native', 'reference']).parse(['refrence'], '--numerics'), /Did you mean reference\?/);
});

test('token ids keep order and repeats', () => {
  assert.deepEqual(tokenIds('Ids.').parse(['5,1,5'], '--ids'), [5, 1, 5]);
  refused(() => tokenIds('Ids.').parse(['5,-1'], '--ids'), /0 or more/);
});

test('a required flag that was not given is an error that names it', () => {
  refused(
    () => required(text('File that holds the prompt.', 'F')).parse([], '--prompt-file'),
    /--prompt-file: expected file that holds/,
  );
});

test('a switch is off unless it was given', () => {
  assert.equal(flag('Raw.').parse([], '--raw'), false);
  assert.equal(flag('Raw.').parse(['true'], '--raw'), true);
});
