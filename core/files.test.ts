import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { diskError, removeTemporaryFiles, writeFileAtomic } from './files.js';

const inFolder = (body: (folder: string) => void): void => {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-files-'));
  try {
    body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

test('a file is replaced as a whole and no temporary file stays behind', () => {
  inFolder((folder) => {
    writeFileAtomic(join(folder, 'a.json'), 'first, and longer');
    writeFileAtomic(join(folder, 'a.json'), Buffer.from('second'));
    assert.equal(readFileSync(join(folder, 'a.json'), 'utf8'), 'second');
    assert.deepEqual(readdirSync(folder), ['a.json']);
  });
});

test('a path that cannot be written is ERR_DISK with the path, the cause and the fix, and leaves nothing', () => {
  inFolder((folder) => {
    writeFileSync(join(folder, 'file'), 'kept');
    const path = join(folder, 'file', 'below.json');
    assert.throws(
      () => writeFileAtomic(path, 'x'),
      (error: Error & { code?: string; exitCode?: number }) => {
        assert.equal(error.code, 'ERR_DISK');
        assert.equal(error.exitCode, 74);
        assert.ok(error.message.includes(path) && error.message.includes('--out'), error.message);
        return true;
      },
    );
    assert.equal(readFileSync(join(folder, 'file'), 'utf8'), 'kept');
  });
});

test('a failed rename keeps the old entry and removes the temporary file', () => {
  inFolder((folder) => {
    mkdirSync(join(folder, 'taken', 'full'), { recursive: true });
    assert.throws(() => writeFileAtomic(join(folder, 'taken'), 'x'));
    assert.deepEqual(readdirSync(folder), ['taken']);
  });
});

test('left-over temporary files go and other files stay', () => {
  inFolder((folder) => {
    writeFileSync(join(folder, '.tmp-1.run.json'), 'torn');
    writeFileSync(join(folder, 'run.json'), '{}');
    removeTemporaryFiles(folder);
    assert.deepEqual(readdirSync(folder), ['run.json']);
  });
});

test('an error that is not about the disk passes unchanged', () => {
  const bug = new TypeError('bug');
  assert.equal(diskError('x', bug), bug);
});
