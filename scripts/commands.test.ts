import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { writeTinyModel } from '../engine/tiny-model.js';
import { methods } from '../methods/index.js';
import { loadAddon } from '../native/index.js';
import { taskIds } from '../suites/index.js';
import { runWinnow } from './run-winnow.js';

/** Commands in processes of their own, on a tiny model: what they print is what scripts rely on. */

const folder = mkdtempSync(path.join(tmpdir(), 'winnow-commands-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const model = writeTinyModel(path.join(folder, 'model'));
const write = (name: string, text: string): string => {
  writeFileSync(path.join(folder, name), text);
  return path.join(folder, name);
};
const skip = (() => {
  try {
    loadAddon();
    return false;
  } catch {
    return 'the native addon is not built';
  }
})();

const jsonOf = async (...words: string[]): Promise<Record<string, unknown>> => {
  const { code, stdout, stderr } = await runWinnow([...words, '--json']);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Record<string, unknown>;
};

test('generate prints prompt tokens, ids, text and why it ended; raw text gets no template', { skip }, async () => {
  const prompt = write('prompt.txt', 'hello there');
  const words = [
    'generate',
    '--model',
    model,
    '--prompt-file',
    prompt,
    '--max-new-tokens',
    '5',
    '--numerics',
    'reference',
  ];
  const chat = await jsonOf(...words);
  assert.deepEqual(Object.keys(chat), ['promptTokens', 'tokenIds', 'text', 'finishReason']);
  const raw = await jsonOf(...words, '--raw');
  assert.ok((raw.promptTokens as number) <= 11);
  assert.ok((chat.promptTokens as number) > (raw.promptTokens as number), 'the template adds tokens');
  assert.ok((raw.tokenIds as number[]).length <= 5);
  assert.deepEqual(await jsonOf(...words, '--raw', '--method', 'dense'), raw, 'dense is what no method is');
  const kept = await jsonOf(...words, '--raw', '--method', 'streaming-llm', '--kept-fraction', '1');
  assert.deepEqual(kept.tokenIds, raw.tokenIds, 'a method that keeps everything changes nothing');
});

test('generate refuses a method without its budget and a budget without its method', { skip }, async () => {
  const prompt = write('prompt2.txt', 'hello there');
  const words = ['generate', '--model', model, '--prompt-file', prompt];
  for (const more of [
    ['--method', 'snapkv'],
    ['--kept-fraction', '0.5'],
    ['--method', 'snapkv', '--kept-fraction', '0.5', '--token-budget', '9'],
  ]) {
    const { code, stderr } = await runWinnow([...words, ...more]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /^\[ERR_USAGE\] [^\n]*(budget|method)[^\n]*\n$/);
  }
});

test('logits writes one float32 row for each position, the same on one thread', { skip }, async () => {
  const shapes: Buffer[] = [];
  for (const threads of ['1', '2']) {
    const out = path.join(folder, `x${threads}.npy`);
    const made = await jsonOf(
      'logits',
      '--model',
      model,
      '--ids',
      '5,80,81,80',
      '--out',
      out,
      '--numerics',
      'reference',
      '--threads',
      threads,
    );
    assert.deepEqual(made.shape, [4, 300]);
    shapes.push(readFileSync(out));
  }
  const [one, two] = shapes;
  assert.match(one!.toString('latin1'), /'descr': '<f4', 'fortran_order': False, 'shape': \(4, 300\)/);
  assert.equal(one!.length, 128 + 4 * 4 * 300);
  assert.ok(one!.equals(two!));
});

test('logits refuses ids that the model does not have', { skip }, async () => {
  const { code, stderr } = await runWinnow([
    'logits',
    '--model',
    model,
    '--ids',
    '5,300',
    '--out',
    path.join(folder, 'no.npy'),
  ]);
  assert.equal(code, 2, stderr);
  assert.match(stderr, /^\[ERR_USAGE\] --ids: expected ids from 0 to 299, got 300/);
});

test('score-file prints scorer, n, score and one score for each line', async () => {
  const lines = [
    { prediction: 'it is 12 and 34', references: ['12', '34'] },
    { prediction: 'only 12', references: ['12', '34'] },
  ];
  const file = write('scored.jsonl', lines.map((line) => JSON.stringify(line)).join('\n'));
  const scored = await jsonOf('score-file', '--scorer', 'ruler/string_match_all', '--in', file);
  assert.deepEqual(scored, { scorer: 'ruler/string_match_all', n: 2, score: 75, scores: [1, 0.5] });
});

test('datasets show prints a prompt in which the evidence ranges hold the answer', async () => {
  const shown = await jsonOf('datasets', 'show', 'niah_single_1', '--length', '2k', '--sample', '3', '--model', model);
  const { prompt, evidence, references, promptTokens } = shown as {
    prompt: string;
    promptTokens: number;
    evidence: { start: number; end: number }[];
    references: string[];
  };
  assert.ok(promptTokens <= 2048);
  assert.equal(evidence.length, 1);
  const [span] = evidence;
  assert.ok(prompt.slice(span!.start, span!.end).includes(references[0]!));
});

test('list gives every method and task with what a table needs', async () => {
  const ids = async (what: string): Promise<unknown[]> =>
    ((await jsonOf('list', what)) as unknown as { id: unknown }[]).map(({ id }) => id);
  assert.deepEqual(
    await ids('methods'),
    methods.map(({ id }) => id),
  );
  assert.deepEqual(await ids('tasks'), taskIds());
  assert.ok((await ids('suites')).includes('quickstart'));
  assert.deepEqual(await ids('models'), ['smollm2-135m-instruct', 'gemma-3-270m', 'all-minilm-l6-v2']);
});

test('models inspect and verify describe a file of the user', async () => {
  const described = await jsonOf('models', 'inspect', model);
  assert.equal((described.config as { numLayers: number }).numLayers, 2);
  const { sha256 } = await jsonOf('models', 'verify', model);
  assert.equal(sha256, described.sha256);
});

test('doctor says for every check what was found and, where it is not well, what to do', async () => {
  const { stdout } = await runWinnow(['doctor', '--json']);
  const { checks } = JSON.parse(stdout) as {
    checks: { name: string; state: string; found: string; advice?: string }[];
  };
  assert.deepEqual(
    checks.map(({ name }) => name),
    ['node', 'processor', 'native addon', 'memory', 'results folder', 'cache folder', 'default model', 'fonts'],
  );
  for (const { state, advice, found } of checks) {
    assert.ok(found.length > 0);
    assert.equal(advice === undefined, state === 'ok');
  }
});

test('the plan says once for each method and reason what is left out, and which sets a task goes without', async () => {
  const suite = write(
    'left-out.yaml',
    `id: left-out
version: 1
question: What is not run?
samples: 2
lengths: [1k, 2k]
tasks: [niah_single_1, niah_single_2, cwe, {id: qa_1}]
methods: [dense, snapkv, knorm]
keptFractions: [0.5, 0.25]
exclude:
  - {method: snapkv, when: {keptFraction: [0.25]}, reason: it is too small}
  - {method: knorm, when: {task: [cwe]}, reason: it is known}
`,
  );
  const { code, stdout, stderr } = await runWinnow(['plan', suite, '--model', model], {
    env: { WINNOW_CACHE: path.join(folder, 'no-cache') },
  });
  assert.equal(code, 0, stderr);
  assert.deepEqual(
    stdout.split('\n').filter((line) => /^(left out|data) /.test(line)),
    [
      'data      squad-v2 is not in the cache; qa_1 can do without, or: winnow datasets pull squad-v2',
      'left out  snapkv on niah_single_1 and 3 more tasks, 8 cells: it is too small',
      'left out  knorm on cwe, 4 cells: it is known',
    ],
  );
});

test('the plan counts what the run does, and report makes its files again', { skip }, async () => {
  const suite = write(
    'small.yaml',
    'id: small\nversion: 1\nquestion: Is the plan the run?\nsamples: 2\nlengths: [1k]\ntasks: [{id: niah_single_1, maxNewTokens: 4}]\nmethods: [dense, random, sink-window-prefill]\nkeptFractions: [0.5]\n',
  );
  const words = [suite, '--model', model];
  const planned = await jsonOf('plan', ...words);
  const out = path.join(folder, 'small');
  const ran = await jsonOf('run', ...words, '--out', out);
  assert.deepEqual([ran.prefills, ran.prefillsUnshared], [planned.prefills, planned.prefillsUnshared]);
  assert.equal((ran.cells as { planned: number }).planned, planned.cells);
  const csv = readFileSync(path.join(out, 'cells.csv'), 'utf8');
  rmSync(path.join(out, 'cells.csv'));
  rmSync(path.join(out, 'report.md'));
  await jsonOf('report', out);
  assert.equal(readFileSync(path.join(out, 'cells.csv'), 'utf8'), csv);
  assert.ok(readFileSync(path.join(out, 'report.md'), 'utf8').includes('npx winnow run'));
});
