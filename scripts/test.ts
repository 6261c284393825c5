/**
 * The test driver behind `npm test`: types, lint, then every *.test.ts with node's runner, two files at a time.
 *
 * `npm test -- core suites/run` runs only test files whose path starts with one of the words, without types and lint.
 * Prints every failure, every skip with its reason, and last, alone on a line, `N passed, N failed`.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Check, runCheck } from './test-checks.js';
import { runTestFiles } from './test-files.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const ignored = new Set(['node_modules', 'build', '.git', '.cache', 'runs']);

const findTests = async (folder: string): Promise<string[]> => {
  const entries = await readdir(path.join(root, folder), { withFileTypes: true });
  const found = await Promise.all(
    entries.map(async (entry) => {
      const name = path.join(folder, entry.name);
      if (entry.isDirectory()) return ignored.has(entry.name) ? [] : findTests(name);
      return name.endsWith('.test.ts') ? [name] : [];
    }),
  );
  return found.flat().sort();
};

const checks: Check[] = [
  // An addon older than its sources answers wrongly where a binding has changed; nothing is built when nothing has.
  { name: 'native addon built from these sources', command: ['node', 'native/build.mjs'] },
  { name: 'CUDA backend for the host built from these sources', command: ['node', 'native/build.mjs', '--cuda-host'] },
  { name: 'types', command: ['node_modules/.bin/tsc', '-p', '.'] },
  { name: 'types of pages', command: ['node_modules/.bin/tsc', '-p', 'results/site/page'] },
  { name: 'lint', command: ['node_modules/.bin/biome', 'check', '.'] },
  { name: 'cuda sources compile', command: ['bash', 'native/cuda/check.sh'], needs: 'native/cuda/check.sh' },
  { name: 'default model in the cache', command: ['node', 'scripts/winnow.mjs', 'models', 'pull'], optional: true },
  {
    name: 'encoder in the cache',
    command: ['node', 'scripts/winnow.mjs', 'models', 'pull', 'all-minilm-l6-v2'],
    optional: true,
  },
  { name: 'gate on the smoke suite', command: ['node', '--import', 'tsx', 'scripts/gate-smoke.ts'] },
];

/** Three minutes more, most of them a second build of the addon: CI asks for it. */
if (process.env.WINNOW_TEST_SANITIZE === '1') {
  checks.push({
    name: 'native tests under sanitizers, short',
    command: ['node', '--import', 'tsx', 'scripts/test-sanitize.ts', '--short'],
  });
}

const main = async (words: readonly string[]): Promise<number> => {
  process.chdir(root);
  const tests = await findTests('.');
  const chosen =
    words.length === 0 ? tests : tests.filter((file) => words.some((word) => file.startsWith(path.normalize(word))));
  const total = { passed: 0, failed: 0, skips: new Map<string, number>() };
  const skip = (reason: string): unknown => total.skips.set(reason, (total.skips.get(reason) ?? 0) + 1);
  if (words.length === 0) {
    for (const check of checks) {
      if (check.needs !== undefined && !existsSync(check.needs)) continue;
      const outcome = await runCheck(check);
      if (outcome.state === 'passed') total.passed++;
      else if (outcome.state === 'failed') total.failed++;
      else skip(`${check.name}: ${outcome.reason}`);
    }
  }
  if (chosen.length === 0) console.log(`No test file begins with ${words.join(' or ')}.`);
  const ran = await runTestFiles(chosen, skip);
  const skipped = [...total.skips.values()].reduce((sum, count) => sum + count, 0);
  if (skipped > 0) console.log(`\n${skipped} skipped:`);
  for (const [reason, count] of total.skips) console.log(`  ${count} × ${reason}`);
  const [passed, failed] = [total.passed + ran.passed, total.failed + ran.failed + (chosen.length === 0 ? 1 : 0)];
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
};

process.exit(await main(process.argv.slice(2)));
