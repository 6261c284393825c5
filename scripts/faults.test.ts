import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { writeTinyModel } from '../engine/tiny-model.js';
import { loadAddon } from '../native/index.js';
import { lockRun } from '../results/run-lock.js';
import { type RunWinnowOptions, runWinnow } from './run-winnow.js';

/** What a person sees when something is wrong: one clear line, the exit code of the interface, and nothing lost. */

const folder = mkdtempSync(path.join(tmpdir(), 'winnow-faults-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const inFolder = (name: string): string => path.join(folder, name);
const write = (name: string, text: string): string => {
  writeFileSync(inFolder(name), text);
  return inFolder(name);
};

const suite = `id: fault
version: 1
question: Does nothing get lost?
samples: 8
lengths: [1k, 2k]
tasks: [{id: niah_single_1, maxNewTokens: 4}]
methods: [dense, random, snapkv]
keptFractions: [0.5]
`;
const suiteFile = write('fault.yaml', suite);
const model = writeTinyModel(inFolder('model'));
const runWords = (out: string): string[] => [
  'run',
  suiteFile,
  '--model',
  model,
  '--out',
  inFolder(out),
  '--numerics',
  'reference',
];

/** Samples enough that the signal arrives before the end on a busy machine too. */
const longWords = (out: string): string[] => [...runWords(out), '--samples', '24'];

const noAddon = (() => {
  try {
    loadAddon();
    return false;
  } catch {
    return 'the native addon is not built';
  }
})();

/** The last line of stderr; no line of a stack anywhere. */
const errorOf = async (
  words: readonly string[],
  options: RunWinnowOptions = {},
): Promise<{ code: number | null; line: string; stderr: string }> => {
  const { code, stdout, stderr } = await runWinnow(words, options);
  assert.equal(stdout, '', 'results only on stdout');
  assert.doesNotMatch(stderr, /^ {4}at /m, 'no stack');
  const errors = stderr.split('\n').filter((line) => line.startsWith('[ERR_'));
  assert.equal(errors.length, 1, stderr);
  return { code, line: errors[0]!, stderr };
};

test('a broken suite file is named with line and column', async () => {
  const file = write('broken.yaml', suite.replace('samples: 8', 'sampels: 8'));
  const { code, line } = await errorOf(['plan', file, '--model', model]);
  assert.equal(code, 2);
  assert.match(line, /^\[ERR_SUITE\] .*broken\.yaml:4:1/);
  assert.match(line, /Did you mean samples\?/);
});

test('a suite file that is no YAML is named with its line', async () => {
  const { code, line } = await errorOf(['plan', write('torn.yaml', `${suite}tasks: [`), '--model', model]);
  assert.equal(code, 2);
  assert.match(line, /^\[ERR_SUITE\] .*torn\.yaml:\d+:\d+/);
});

test('an unknown method has a suggestion', async () => {
  const { code, line } = await errorOf(['plan', suiteFile, '--model', model, '--method', 'snapkb']);
  assert.equal(code, 2);
  assert.match(line, /^\[ERR_USAGE\] .*snapkb.*Did you mean snapkv\?/);
});

test('an out-of-tree method that does not load says which file and why', async () => {
  const file = write('mine.ts', 'export const nothing = 1;\n');
  const { code, line } = await errorOf(['plan', suiteFile, '--model', model, '--method', file]);
  assert.equal(code, 2);
  assert.match(line, /^\[ERR_CONTRACT\] .*mine\.ts: expected a method as default export/);
});

test('a truncated GGUF file is told with the place where it ends', async () => {
  const cut = path.join(path.dirname(writeTinyModel(inFolder('cut'))), 'tiny.gguf');
  truncateSync(cut, 20_000);
  const { code, line } = await errorOf(['run', suiteFile, '--model', cut, '--out', inFolder('cut-run')]);
  assert.equal(code, 3);
  assert.match(line, /^\[ERR_MODEL_FORMAT\] .*tiny\.gguf.*20000/);
  assert.ok(!existsSync(inFolder('cut-run')), 'no run directory for a run that cannot start');
});

test('an unreachable download lists every source and what to do by hand', async () => {
  const cache = inFolder('empty-cache');
  const env = {
    WINNOW_CACHE: cache,
    HF_ENDPOINT: 'http://127.0.0.1:9',
    PIP_INDEX_URL: 'http://127.0.0.1:9/simple',
    PIP_RETRIES: '0',
  };
  const { code, line } = await errorOf(['models', 'pull'], { env });
  assert.equal(code, 3);
  assert.match(line, /^\[ERR_UNREACHABLE\] .*hub .*pip .*By hand: put the file with sha256 [0-9a-f]{64} at /);
});

test('a wrong budget, length and model each name the flag', async () => {
  for (const [words, message] of [
    [['--kept-fraction', '1.5'], /^\[ERR_USAGE\] --kept-fraction: expected a fraction/],
    [['--length', 'long'], /^\[ERR_USAGE\] --length: expected a length/],
    [['--model', 'smollm2-135m-instrukt'], /^\[ERR_USAGE\] model: .*Did you mean smollm2-135m-instruct\?/],
  ] as const) {
    const { code, line } = await errorOf(['plan', suiteFile, ...words]);
    assert.equal(code, 2);
    assert.match(line, message);
  }
});

test('--json prints one document on stdout and the notes elsewhere', { skip: noAddon }, async () => {
  const { code, stdout } = await runWinnow([...runWords('json'), '--limit', '1', '--json']);
  assert.equal(code, 0);
  const document = JSON.parse(stdout) as {
    cells: { ok: number };
    csv: string;
    prefills: number;
    prefillsUnshared: number;
  };
  assert.equal(document.cells.ok, 6);
  assert.deepEqual([document.prefills, document.prefillsUnshared], [2, 6]);
  assert.ok(existsSync(document.csv));
});

const csvOf = (out: string): string => readFileSync(path.join(inFolder(out), 'cells.csv'), 'utf8');

test('Ctrl-C saves what is finished, exits with 130, and the same command ends like a run without it', {
  skip: noAddon,
}, async () => {
  let isSent = false;
  const interrupted = await errorOf(longWords('stopped'), {
    onStderr(text, kill) {
      if (isSent || !text.includes('1k, query-aware')) return;
      isSent = true;
      kill('SIGINT');
    },
  });
  assert.equal(interrupted.code, 130);
  assert.match(interrupted.line, /^\[ERR_INTERRUPTED\] .*To continue: npx winnow run .*fault\.yaml/);
  const again = await runWinnow([...longWords('stopped'), '--json']);
  assert.equal(again.code, 0, again.stderr);
  assert.equal((JSON.parse(again.stdout) as { resumed: boolean }).resumed, true);
  const whole = await runWinnow(longWords('whole'));
  assert.equal(whole.code, 0, whole.stderr);
  assert.equal(csvOf('stopped'), csvOf('whole'));
});

test('a kill in the middle loses nothing that was finished', { skip: noAddon }, async () => {
  const killed = await runWinnow(longWords('killed'), {
    onStderr(text, kill) {
      if (text.includes('1k, query-aware')) kill('SIGKILL');
    },
  });
  assert.equal(killed.code, null);
  const finished = readFileSync(path.join(inFolder('killed'), 'run.json'), 'utf8');
  assert.match(finished, /"status": "running"/);
  const again = await runWinnow(longWords('killed'));
  assert.equal(again.code, 0, again.stderr);
  assert.equal(csvOf('killed'), csvOf('whole'));
});

test('a run directory that another process writes is refused', { skip: noAddon }, async () => {
  mkdirSync(inFolder('shared'));
  const lock = lockRun(inFolder('shared'));
  try {
    const { code, line } = await errorOf(runWords('shared'));
    assert.equal(code, 3);
    assert.match(line, /^\[ERR_LOCKED\] .*shared: expected to be the only process/);
  } finally {
    lock.release();
  }
});

test('a full disk ends the run with 74, keeps what is finished, and the same command goes on', {
  skip: noAddon,
}, async () => {
  const shell = `ulimit -f 8; exec "$0" "$@"`;
  const full = await runWinnow([...runWords('full'), '--trace', 'kept'], { prefix: ['bash', '-c', shell] });
  assert.equal(full.code, 74, full.stderr);
  assert.match(full.stderr, /^\[ERR_DISK\] .*\n$/m);
  assert.doesNotMatch(full.stderr, /^ {4}at /m);
  const again = await runWinnow([...runWords('full'), '--trace', 'kept', '--json']);
  assert.equal(again.code, 0, again.stderr);
  const { resumed, cells } = JSON.parse(again.stdout) as { resumed: boolean; cells: { ok: number } };
  assert.deepEqual([resumed, cells.ok], [true, 6]);
});
