import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conforms } from '../conformance.js';
import { parseParams } from '../params.js';
import { snapkvQuestKivi } from './snapkv-quest-kivi.js';

conforms(snapkvQuestKivi, {
  params: {
    snapkv: { observationWindow: 6 },
    quest: { denseLayers: 0 },
    kivi: { residualTokens: 16, groupSize: 16 },
  },
  contextTokens: 192,
});

test('4 bits unless asked otherwise, and half of the survivors read', () => {
  const params = parseParams(snapkvQuestKivi, {});
  assert.deepEqual(params.kivi, { bits: 4, groupSize: 32, residualTokens: 128 });
  assert.deepEqual(params.fractions, { quest: 0.5 });
  assert.equal(parseParams(snapkvQuestKivi, { fractions: { quest: 1 } }).fractions.quest, 1);
});
