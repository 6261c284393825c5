/** Calibration from the command line, and suites whose methods name a profile. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { sha256Hex } from '../core/canonical-json.js';
import { writeTinyModel } from '../engine/tiny-model.js';
import { runWinnow } from './run-winnow.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-profile-'));
after(() => rmSync(root, { recursive: true, force: true }));

const model = writeTinyModel(join(root, 'model'), { layers: 2, kvHeads: 2, format: 'safetensors' });
const fixture = fileURLToPath(new URL('../methods/fixtures/head-gate.ts', import.meta.url));
writeFileSync(join(root, 'gate.ts'), `export { headGate as default } from ${JSON.stringify(fixture)};\n`);
writeFileSync(
  join(root, 'suite.yaml'),
  `id: gated
version: 1
question: Does a profile reach the cells?
samples: 1
lengths: [512]
tasks: [niah_single_1]
methods: [dense, {file: gate.ts, profile: gate.safetensors}]
keptFractions: [0.5]
chatTemplate: false
`,
);
const winnow = (...words: string[]) => runWinnow([...words, '--numerics', 'reference'], { cwd: root });
const calibrate = (...words: string[]) =>
  winnow(
    'profile',
    'heads',
    '--model',
    model,
    '--method',
    './gate.ts',
    '--texts',
    '1',
    '--out',
    'gate.safetensors',
    ...words,
  );
/** Runs the suite; its run.json as text, and the ids of its cells. */
const run = async (out: string): Promise<{ readonly text: string; readonly cells: readonly string[] }> => {
  const { code, stderr } = await winnow('run', 'suite.yaml', '--model', model, '--out', out);
  assert.equal(code, 0, stderr);
  const text = readFileSync(join(root, out, 'run.json'), 'utf8');
  return { text, cells: JSON.parse(text).configuration.cells };
};

test('a suite that names a profile which is not there says how to make one', async () => {
  const { code, stderr } = await winnow('plan', 'suite.yaml', '--model', model);
  assert.equal(code, 2);
  assert.match(stderr, /methods\[1\]\.profile|methods.*profile/);
  assert.match(stderr, /winnow profile heads/);
});

test('the same calibration writes the same bytes; a run records the hash; another profile is another cell', async () => {
  const first = await calibrate('--json');
  assert.equal(first.code, 0, first.stderr);
  const bytes = readFileSync(join(root, 'gate.safetensors'));
  const { sha256, header } = JSON.parse(first.stdout);
  assert.equal(sha256, sha256Hex(bytes));
  assert.equal(header.calibration.texts, 1);
  assert.equal((await calibrate()).code, 0);
  assert.deepEqual(readFileSync(join(root, 'gate.safetensors')), bytes);

  const { text, cells } = await run('first');
  assert.ok(text.includes(sha256), 'run.json names the profile by its hash');
  const [plain, gated] = cells;
  assert.equal((await calibrate('--seed', '7')).code, 0);
  const [same, other] = (await run('second')).cells;
  assert.equal(same, plain);
  assert.notEqual(other, gated);
});

test('what is missing is named before a model is opened', async () => {
  for (const [words, expected] of [
    [['--out', 'x'], /--method/],
    [['--method', './gate.ts'], /--out/],
    [['--method', './gate.ts', '--out', 'x', '--texts', '2', '--text-file', 'suite.yaml'], /--texts/],
  ] as const) {
    const { code, stderr } = await winnow('profile', 'heads', ...words);
    assert.equal(code, 2, stderr);
    assert.match(stderr, expected);
  }
});
