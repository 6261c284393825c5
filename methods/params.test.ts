import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kivi } from './cache/kivi.js';
import { snapkv } from './cache/snapkv.js';
import { snapkvQuestKivi } from './composed/snapkv-quest-kivi.js';
import type { Method } from './contract.js';
import { dense } from './control/dense.js';
import { parseParams } from './params.js';

const refusal = (method: Method, raw: unknown, message: RegExp): void =>
  assert.throws(() => parseParams(method, raw), { code: 'ERR_PARAM', message });

test('every default is written out', () => {
  assert.deepEqual(parseParams(snapkv, { poolSize: 7 }), { observationWindow: 32, poolSize: 7, pool: 'avg' });
  assert.deepEqual(parseParams(dense), {});
});

test('an unknown key is named with its method, and the nearest known one suggested', () => {
  refusal(snapkv, { poolsize: 5 }, /^\[ERR_PARAM\] snapkv\.poolsize: .*Did you mean poolSize\?$/);
  refusal(snapkv, { window: 5 }, /Known: observationWindow, pool, poolSize\./);
  refusal(dense, { seed: 1 }, /dense takes no parameters here/);
  refusal(snapkvQuestKivi, { quest: { pagesize: 16 } }, /snapkv\+quest\+kivi\.quest\.pagesize.*pageSize/);
});

test('a budget among the parameters is sent to where budgets belong', () => {
  for (const key of ['keptFraction', 'tokenBudget', 'budget'])
    refusal(snapkv, { [key]: 1 }, /--kept-fraction and --token-budget/);
});

test('a value out of range is named with what would do and what was given', () => {
  refusal(kivi, { bits: 3 }, /kivi\.bits: expected one of 2\|4, got 3 \(number\)/);
  refusal(snapkv, { observationWindow: 0 }, /snapkv\.observationWindow: expected number to be >=1, got 0/);
  refusal(snapkv, { observationWindow: 'all' }, /expected number, got "all"/);
  refusal(snapkv, 5, /snapkv: expected object, got 5/);
});
