import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '..');
const page = readFileSync(join(root, 'docs', 'add-a-method.md'), 'utf8');

/** The fenced block behind a comment such as `<!-- file: methods/x.ts -->`. */
const block = (comment: string): string => {
  const [, rest] = page.split(`<!-- ${comment} -->\n\`\`\`ts\n`);
  assert.ok(rest !== undefined, `docs/add-a-method.md has no block ${comment}`);
  return rest.split('\n```')[0]!;
};

/** A copy of the sources in which the walk-through may add files; what they only use is linked. */
const copy = mkdtempSync(join(tmpdir(), 'winnow-add-a-method-'));
after(() => rmSync(copy, { recursive: true }));
for (const name of readdirSync(root)) {
  if (['core', 'docs', 'engine', 'methods', 'scripts'].includes(name))
    cpSync(join(root, name), join(copy, name), { recursive: true });
  else if (!name.startsWith('.')) symlinkSync(join(root, name), join(copy, name));
}

const run = promisify(execFile);
const node = (...args: string[]) =>
  run(process.execPath, ['--import', 'tsx', ...args], {
    cwd: copy,
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  }).then(
    ({ stdout }) => stdout,
    (failed: { stdout: string; stderr: string }) =>
      assert.fail(`${failed.stdout.slice(-3_000)}${failed.stderr.slice(-3_000)}`),
  );

test('the walk-through of docs/add-a-method.md works: 1 file + 1 test + 1 line', async () => {
  for (const file of ['methods/cache/value-norm.ts', 'methods/cache/value-norm.test.ts']) {
    writeFileSync(join(copy, file), `${block(`file: ${file}`)}\n`);
  }
  const index = join(copy, 'methods', 'index.ts');
  const line = block('line: methods/index.ts');
  const text = readFileSync(index, 'utf8')
    .replace('import type { Method }', "import { valueNorm } from './cache/value-norm.js';\nimport type { Method }")
    .replace(/\n\];/, `\n${line}\n];`);
  writeFileSync(index, text);
  await node('scripts/write-method-cards.ts');
  assert.match(readFileSync(join(copy, 'docs', 'methods.md'), 'utf8'), /## Value norm\n/);
  const output = await node(
    '--test',
    'methods/cache/value-norm.test.ts',
    'methods/index.test.ts',
    'methods/cards.test.ts',
  );
  assert.match(output, /ok \d+ - keeps the largest values of each KV head/);
  assert.match(output, /ok \d+ - value-norm keeps the method contract/);
  assert.match(output, /# fail 0/);
});
