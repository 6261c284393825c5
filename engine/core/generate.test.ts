import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { resolveMethod } from '../../methods/load.js';
import { openLocal } from '../local.js';
import { writeTinyModel } from '../tiny-model.js';

test('a method that chooses documents is refused where a prompt has none', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-generate-'));
  const engine = openLocal(writeTinyModel(folder, {}), {
    backend: 'cpu',
    numerics: 'reference',
    isa: 'auto',
    threads: 1,
    prefillChunk: 64,
    resolveMethod,
    cancelled: () => {},
  });
  const setting = { key: 'bm25', method: { id: 'bm25-top-k', params: {} }, keptFraction: 0.5 };
  const prompt = { text: 'the key is under the stone by the river', raw: true, setting };
  const refused = { code: 'ERR_UNSUPPORTED', message: /bm25: .*documents/ };
  try {
    await assert.rejects(engine.generate({ ...prompt, maxNewTokens: 2 }), refused);
    await assert.rejects(engine.score({ ...prompt, continuations: [' a'] }), refused);
  } finally {
    engine.close();
    rmSync(folder, { recursive: true });
  }
});
