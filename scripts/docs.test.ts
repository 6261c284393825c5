import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { methods } from '../methods/index.js';
import { flagName } from './command.js';
import { commands } from './commands.js';
import { executedCommands, showsOutput } from './doc-blocks.js';
import { methodTable, sectionOf } from './method-table.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(path.join(root, 'docs')).map((name) => `docs/${name}`),
].filter((name) => name.endsWith('.md'));
const read = (name: string): string => readFileSync(path.join(root, name), 'utf8');

/** `npx winnow` as it is written, without a look-up by npm. */
const folderWithNpx = (): string => {
  const folder = mkdtempSync(path.join(tmpdir(), 'winnow-docs-'));
  mkdirSync(path.join(folder, 'bin'));
  const script = `#!/bin/sh\n[ "$1" = winnow ] || exit 64\nshift\nexec "${process.execPath}" "${root}scripts/winnow.mjs" "$@"\n`;
  writeFileSync(path.join(folder, 'bin', 'npx'), script, { mode: 0o755 });
  return folder;
};

test('commands of documents that are marked as executed succeed and print what is shown', () => {
  const folder = folderWithNpx();
  try {
    let ran = 0;
    for (const document of documents) {
      for (const { line, command, shown } of executedCommands(read(document))) {
        const env = { ...process.env, NO_COLOR: '1', PATH: `${path.join(folder, 'bin')}:${process.env.PATH ?? ''}` };
        const { status, stdout, stderr } = spawnSync('bash', ['-ec', command], { cwd: root, env, encoding: 'utf8' });
        assert.equal(status, 0, `${document}:${line} ${command}\n${stderr}`);
        assert.ok(showsOutput(shown, stdout), `${document}:${line} ${command} printed\n${stdout}`);
        ran++;
      }
    }
    assert.ok(ran >= 3, `${ran} commands are marked as executed`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('links of documents to files of the project lead somewhere', () => {
  for (const document of documents) {
    for (const [, target = ''] of read(document).matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)) {
      const file = path.join(root, path.dirname(document), target);
      assert.doesNotThrow(() => readFileSync(file), `${document} links to ${target}`);
    }
  }
});

test('docs/cli.md names every command and no other', () => {
  const section = /^## Commands\n([\s\S]*?)^## /m.exec(read('docs/cli.md'))?.[1] ?? '';
  const named = [...section.matchAll(/^\| `([a-z-]+)/gm)].map(([, name]) => name);
  assert.deepEqual(new Set(named), new Set([...commands.map(({ name }) => name), 'completion']));
});

test('every row of the table of methods in README.md is what its adapter says (npm run docs writes it)', () => {
  const shown = sectionOf(read('README.md'), 'methods').trim().split('\n');
  const made = methodTable(methods).split('\n');
  assert.ok(shown.length > 10);
  for (const row of shown) assert.ok(made.includes(row), row);
});

test('flags of winnow that documents write exist', () => {
  const known = new Set(commands.flatMap((command) => Object.keys(command.flags).map(flagName)));
  for (const flag of ['--help', '--verbose', '--version']) known.add(flag);
  for (const document of ['README.md', 'docs/cli.md']) {
    for (const [, flag = ''] of read(document).matchAll(/(?<![\w-])(--[a-z][a-z-]+)/g)) {
      assert.ok(known.has(flag), `${document} writes ${flag}`);
    }
  }
});

test('executed blocks are found by their mark and their output is compared line by line', () => {
  const markdown = '```console\n$ no\n```\n<!-- executed -->\n```console\n$ echo a\na\n$ ls\n…\nz\n```\ntext\n';
  assert.deepEqual(executedCommands(markdown), [
    { line: 6, command: 'echo a', shown: ['a'] },
    { line: 8, command: 'ls', shown: ['…', 'z'] },
  ]);
  assert.ok(showsOutput(['a', '…', 'd … f'], 'a\nb\nc\nd e f\n'));
  assert.ok(showsOutput([], 'anything'));
  assert.ok(!showsOutput(['a'], 'a\nb\n'));
  assert.ok(!showsOutput(['a.c'], 'abc\n'));
});
