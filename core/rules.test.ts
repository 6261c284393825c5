/** Rules of the tree that no compiler checks. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Paths of our own files: nothing installed, built, fetched or written by a run. */
const listFiles = (): string[] => {
  const found: string[] = [];
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        const isOurs = !entry.name.startsWith('.') && !['node_modules', 'build', 'dist'].includes(entry.name);
        if (isOurs && path !== 'results/runs') walk(path);
      } else if (entry.isFile()) found.push(path);
    }
  };
  walk('');
  return found.sort();
};

const files = listFiles();
const typescript = files.filter((path) => path.endsWith('.ts'));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const isTest = (path: string): boolean => path.endsWith('.test.ts') || path.split('/').includes('fixtures');
const failing = (paths: readonly string[], check: (path: string) => string | undefined): string[] =>
  paths.flatMap((path) => {
    const complaint = check(path);
    return complaint === undefined ? [] : [`${path}: ${complaint}`];
  });

/** Files that are one table or one contract and read worse when cut. */
const longByNature = new Set(['methods/contract.ts', 'native/addon-types.ts']);

test('the tree is there and is read', () => {
  assert.ok(typescript.includes('core/errors.ts') && typescript.includes('core/rules.test.ts'));
});

test('a TypeScript file has at most 300 lines, a contract at most 600; tests and fixtures may be longer', () => {
  assert.deepEqual(
    failing(
      typescript.filter((path) => !isTest(path)),
      (path) => {
        const lines = read(path).split('\n').length - 1;
        const limit = longByNature.has(path) ? 600 : 300;
        return lines > limit ? `${lines} lines, at most ${limit}: split it by what it does` : undefined;
      },
    ),
    [],
  );
});

test('only the places that own a setting read the environment, so no variable changes a number unseen', () => {
  const mayRead = (path: string): boolean =>
    path === 'native/index.ts' ||
    path === 'native/cuda-addon.ts' ||
    path === 'results/provenance.ts' ||
    /^engine\/models[^/]*\.ts$/.test(path) ||
    path.startsWith('scripts/') ||
    isTest(path);
  assert.deepEqual(
    failing(
      typescript.filter((path) => !mayRead(path)),
      (path) => (/process\s*\.\s*env\b/.test(read(path)) ? 'reads process.env' : undefined),
    ),
    [],
  );
});

test('no file or folder is a drawer', () => {
  const drawers = /^(utils?|common|helpers?|misc|shared|stuff|lib)$/;
  assert.deepEqual(
    failing(files, (path) =>
      path
        .split('/')
        .map((part) => part.replace(/\..*$/, ''))
        .find((part) => drawers.test(part)),
    ),
    [],
  );
});

test('TypeScript files are named in kebab case', () => {
  assert.deepEqual(
    failing(typescript, (path) =>
      /^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/.test(basename(path)) ? undefined : 'not kebab-case',
    ),
    [],
  );
});

test('every file that defines a method is listed in methods/index.ts and has a test beside it or one that imports it', () => {
  const index = read('methods/index.ts');
  const definesOne = typescript.filter(
    (path) => /^methods\/[^/]+\/[^/]+\.ts$/.test(path) && !isTest(path) && /\bdefineMethod\s*[(<]/.test(read(path)),
  );
  assert.ok(definesOne.length > 0, 'no method was found: the search is broken');
  const tests = typescript.filter((path) => path.startsWith('methods/') && path.endsWith('.test.ts'));
  assert.deepEqual(
    failing(definesOne, (path) => {
      const inMethods = `./${path.slice('methods/'.length).replace(/\.ts$/, '.js')}`;
      if (!index.includes(`from '${inMethods}'`)) return 'is not listed in methods/index.ts';
      const stem = basename(path, '.ts');
      const isTested = tests.some(
        (other) => other === path.replace(/\.ts$/, '.test.ts') || read(other).includes(`/${stem}.js'`),
      );
      return isTested ? undefined : 'has no test';
    }),
    [],
  );
});

test('methods load nothing, read no file and print nothing', () => {
  const adapters = typescript.filter((path) => /^methods\/[^/]+\/[^/]+\.ts$/.test(path) && !isTest(path));
  assert.deepEqual(
    failing(adapters, (path) => /from 'node:[^']+'|\bconsole\.|\bfetch\(/.exec(read(path))?.[0]),
    [],
  );
});

test('nothing but results goes to stdout: only scripts and benchmarks print', () => {
  assert.deepEqual(
    failing(
      typescript.filter((path) => !isTest(path) && !path.startsWith('scripts/') && !path.startsWith('native/bench/')),
      (path) => /\bconsole\.(log|info|debug)\(|\bprocess\.stdout\.write\(/.exec(withoutComments(read(path)))?.[0],
    ),
    [],
  );
});

test('no file names a path of somebody’s machine', () => {
  const text = files.filter(
    (path) => /\.(ts|mjs|json|ya?ml|md|py|sh|cpp|h|cu|cuh|txt|cff)$/.test(path) || !basename(path).includes('.'),
  );
  const home = /(?<![\w.~$}/-])\/(home|Users|root|work)\/[A-Za-z0-9_]/;
  assert.deepEqual(
    failing(text, (path) => home.exec(read(path))?.[0]),
    [],
  );
});

test('no test is left on its own with only', () => {
  assert.deepEqual(
    failing(
      typescript.filter(isTest),
      (path) => /\b(test|it|describe|suite)\.only\(|\bonly: true/.exec(read(path).replace(/\/.*\/\.exec/g, ''))?.[0],
    ),
    [],
  );
});

const withoutComments = (source: string): string => source.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
