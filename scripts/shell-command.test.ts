import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { shellCommand } from './shell-command.js';

test('a shell reads the words back as they were', () => {
  const words = ['--out', 'a b', "it's", '$HOME', '*', '', 'plain-1.0,x', '"q"', 'back\\slash'];
  const command = shellCommand(['printf', '%s\\n', ...words]);
  const { stdout } = spawnSync('bash', ['-c', command], { encoding: 'utf8' });
  assert.equal(stdout, `${words.join('\n')}\n`);
});

test('plain words stay unquoted', () => {
  assert.equal(
    shellCommand(['npx', 'winnow', 'run', 'suites/quickstart.yaml', '--length', '1k']),
    'npx winnow run suites/quickstart.yaml --length 1k',
  );
});
