import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingOf } from './prompt-flags.js';

const none = { method: undefined, keptFraction: undefined, tokenBudget: undefined, profile: undefined };

test('a profile goes with its method, and without one is refused with the flag that is missing', async () => {
  assert.deepEqual(
    await settingOf('row', { ...none, method: './mine.ts', keptFraction: 0.5, profile: 'gates.safetensors' }),
    {
      key: 'row',
      method: { id: './mine.ts', file: './mine.ts', params: {}, profile: 'gates.safetensors' },
      keptFraction: 0.5,
    },
  );
  await assert.rejects(settingOf('row', { ...none, profile: 'gates.safetensors' }), {
    code: 'ERR_USAGE',
    message: /--method: expected the method that the profile is for/,
  });
  assert.equal(await settingOf('row', none), undefined);
});
