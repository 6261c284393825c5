import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { flagName } from './command.js';
import { readCommandLine } from './command-line.js';
import { commands } from './commands.js';
import { runWinnow } from './run-winnow.js';
import { checkUsage } from './usage-check.js';

const usageError = async (words: readonly string[], line: RegExp): Promise<void> => {
  const { code, stdout, stderr } = await runWinnow(words, { cwd: tmpdir() });
  assert.equal(stdout, '');
  assert.match(stderr, /^\[ERR_USAGE\] [^\n]+\n$/, 'one line and no stack');
  assert.match(stderr, line);
  assert.equal(code, 2);
};

test('an unknown command is one line with the nearest name and exit code 2', () =>
  usageError(['lsit', 'tasks'], /got "lsit"\. Did you mean list\?/));

test('an unknown flag is one line with the nearest name and exit code 2', () =>
  usageError(
    ['list', 'tasks', '--jsno'],
    /winnow list: expected a flag it knows, got "--jsno"\. Did you mean --json\?/,
  ));

test('no command at all names the commands and exits with 2', () => usageError([], /expected a command: /));

test('--verbose adds the stack to an error', async () => {
  const { code, stderr } = await runWinnow(['list', 'nothing', '--verbose']);
  assert.equal(code, 2);
  assert.match(stderr, /^\[ERR_USAGE\].*[\s\S]*\n {4}at /);
});

test('help goes to stdout and names every command', async () => {
  const { code, stdout, stderr } = await runWinnow(['--help'], { cwd: tmpdir() });
  assert.deepEqual([code, stderr], [0, '']);
  for (const { name } of commands) assert.match(stdout, new RegExp(`winnow ${name}\\b`));
});

test('every command has help with its flags, an example and full sentences', async () => {
  for (const command of commands) {
    const invocation = await readCommandLine([command.name, '--help'], commands, '0');
    assert.ok(invocation.kind === 'text');
    for (const key of Object.keys(command.flags))
      assert.ok(invocation.text.includes(flagName(key)), `${command.name} ${key}`);
    assert.ok(command.examples.length > 0, `${command.name} has no example`);
    for (const flag of Object.values(command.flags))
      assert.match(flag.describe, /\.$/, `${command.name}: ${flag.describe}`);
  }
});

test('completion offers commands, flags and the values of a flag', async () => {
  const offered = async (...words: string[]): Promise<string[]> => {
    const invocation = await readCommandLine(['--get-yargs-completions', 'winnow', ...words], commands, '0');
    assert.ok(invocation.kind === 'text');
    return invocation.text.split('\n');
  };
  assert.deepEqual(await offered('list', 'ta'), ['tasks']);
  assert.ok((await offered('ge')).includes('generate'));
  assert.deepEqual(await offered('generate', '--numerics', ''), ['native', 'reference']);
  assert.ok((await offered('generate', '--')).includes('--prompt-file'));
});

test('negative numbers and words after -- are not taken for flags', () => {
  assert.equal(checkUsage(['generate', '--max-new-tokens', '-3'], commands)?.name, 'generate');
  assert.equal(checkUsage(['list', '--', '--odd-name'], commands)?.name, 'list');
});
