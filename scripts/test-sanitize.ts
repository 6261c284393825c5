/**
 * Runs the native tests against a build with the address and undefined-behaviour sanitizers: `npm run test:sanitize [-- --short]`.
 *
 * The build lives in native/build/sanitize. Stops at the first report and shows it. `--short` leaves out the large products and the
 * process tests, for CI. Leaks are not looked for: V8 frees nothing at exit; that native memory is given back is what the memory
 * counters in the tests say.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const binary = path.join(root, 'native', 'build', 'sanitize', 'winnow.node');
/** Starts processes of its own and opens binaries by name: it says nothing about kernels. */
const leftOut = new Set(['process.test.ts']);
/** Long prompts and a thousand rows in software arithmetic take minutes with checks around every read. */
const slowOps = ['linear', 'linear_rows', 'linear_gated', 'attend_prefill', 'attend_sets', 'column_stats'];

const { values } = parseArgs({ options: { short: { type: 'boolean', default: false } } });

/** libasan must be in the process before anything allocates; the addon's own link comes too late for that. */
const runtime = (): string => {
  const found = spawnSync(process.env.CXX ?? 'g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' });
  const file = found.stdout?.trim() ?? '';
  if (found.status === 0 && path.isAbsolute(file) && existsSync(file)) return file;
  process.stderr.write(
    '[ERR_MISSING] libasan.so: expected g++ with its sanitizer runtime, got nothing. Debian/Ubuntu: apt-get install g++ libasan8\n',
  );
  process.exit(3);
};

const run = (command: string, args: readonly string[], env: Record<string, string> = {}): void => {
  const { status } = spawnSync(command, [...args], { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  if (status !== 0) process.exit(status ?? 1);
};

const sanitized = {
  LD_PRELOAD: runtime(),
  WINNOW_NATIVE_BINARY: binary,
  ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=0:halt_on_error=1:handle_segv=1:allocator_may_return_null=1',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
};

run('node', ['native/build.mjs', '--sanitize']);
const tests = readdirSync(path.join(root, 'native', 'test'))
  .filter((name) => name.endsWith('.test.ts') && !leftOut.has(name))
  .map((name) => `native/test/${name}`);
const skip = values.short ? slowOps.join(',') : '';
run('node', ['--import', 'tsx', '--test', '--test-concurrency=2', '--test-reporter=spec', ...tests], {
  ...sanitized,
  WINNOW_PARITY_SKIP: skip,
});
run(
  'node',
  ['--import', 'tsx', 'scripts/fuzz.ts', '--only', 'pack-weight', '--inputs', values.short ? '3000' : '50000'],
  sanitized,
);
