import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conforms } from '../conformance.js';
import { budgetOf, modelFacts, settingOf } from '../naive-views.js';
import { dense } from './dense.js';

conforms(dense);

test('dense asks for nothing and does nothing', () => {
  const setting = settingOf({}, budgetOf(1, 1));
  assert.deepEqual(dense.hooks(setting, modelFacts([])), {});
  assert.deepEqual(dense.declare(setting, modelFacts([])).needs, []);
});
