import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { collectProvenance } from './provenance.js';

test('code in a bundle is known by the commit that it was packed from', () => {
  const root = mkdtempSync(join(tmpdir(), 'winnow-bundled-'));
  try {
    writeFileSync(join(root, 'package.json'), '{"version": "1.2.3"}');
    assert.equal(collectProvenance(root).code.commit, undefined);
    writeFileSync(join(root, 'bundle.json'), '{"commit": "abc", "dirty": false}');
    const { commit, dirty, version } = collectProvenance(root).code;
    assert.deepEqual([commit, dirty, version], ['abc', false, '1.2.3']);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
