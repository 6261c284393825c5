import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { findMethod, methods } from './index.js';

const folders = ['cache', 'composed', 'control', 'decode', 'prefill', 'prompt'];
const files = folders.flatMap((folder) =>
  readdirSync(join(import.meta.dirname, folder)).map((name) => join(import.meta.dirname, folder, name)),
);
const textOf = (file: string): string => readFileSync(file, 'utf8');
const adapters = files.filter(
  (file) => !file.endsWith('.test.ts') && /defineMethod\(|defineEvictor\(|composeMethods\(/.test(textOf(file)),
);

test('every adapter in the tree is registered, and every id once', () => {
  const ids = methods.map((method) => method.id);
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(adapters.length, methods.length);
});

test('every adapter has a test beside it that calls the conformance suite', () => {
  for (const file of adapters) assert.match(textOf(file.replace(/\.ts$/, '.test.ts')), /^conforms\(/m, file);
});

test('adapters import nothing but zod, core and each other: no files, clocks or engine', () => {
  for (const file of files.filter((name) => !name.endsWith('.test.ts'))) {
    for (const [, from] of textOf(file).matchAll(/from '([^']+)'/g)) {
      assert.doesNotMatch(from!, /engine|native|suites|results/);
      assert.match(
        from!,
        /^zod$|^(\.\.\/)?\.\.?\/(core\/)?([a-z0-9-]+\/)?[a-z0-9-]+\.js$/,
        `${relative(import.meta.dirname, file)} imports ${from}`,
      );
    }
  }
});

test('only controls are without a paper, and every id is kebab case', () => {
  for (const { id, family, source, control } of methods) {
    assert.match(id, /^[a-z0-9]+([-+][a-z0-9]+)*$/);
    if (control !== true && family !== 'composition')
      assert.ok(source.arxiv !== undefined || source.url !== undefined, id);
  }
});

test('an unknown id is an error of usage with the nearest name', () => {
  assert.equal(findMethod('quest').id, 'quest');
  assert.throws(() => findMethod('streaming'), { code: 'ERR_USAGE', message: /Did you mean streaming-llm\?/ });
});
