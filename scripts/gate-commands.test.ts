import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { tinyShape, writeSyntheticRun } from '../results/fixtures/synthetic-run.js';
import { parsePolicy } from '../results/gate/policy-file.js';
import { runWinnow } from './run-winnow.js';

/** compare, gate and init in processes of their own: what they print, write and exit with is what scripts rely on. */

const folder = mkdtempSync(path.join(tmpdir(), 'winnow-gate-commands-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const [before, same, worse, other] = ['before', 'same', 'worse', 'other'].map((name) => path.join(folder, name)) as [
  string,
  string,
  string,
  string,
];
writeSyntheticRun(before, tinyShape);
writeSyntheticRun(same, tinyShape);
writeSyntheticRun(worse, tinyShape, {
  alter: (sample, cell) =>
    cell.method.id === 'snapkv' && sample.status === 'ok'
      ? { ...sample, kvCacheBytes: sample.kvCacheBytes + 1 }
      : sample,
});
writeSyntheticRun(other, { ...tinyShape, protocols: ['query-agnostic'] });

test('gate exits with 0, 1, 2, 3 and 4 for pass, regression, usage, incomparable and inconclusive, and writes its reports', async () => {
  const gate = (...words: string[]) => runWinnow(['gate', '--baseline', before, ...words]);
  const passed = await gate('--candidate', same, '--json');
  assert.equal(passed.code, 0, passed.stderr);
  assert.equal((JSON.parse(passed.stdout) as { verdict: string }).verdict, 'pass');
  const [junit, markdown] = ['gate.xml', 'gate.md'].map((name) => path.join(folder, name)) as [string, string];
  const summary = path.join(folder, 'summary.md');
  writeFileSync(summary, '');
  const failed = await runWinnow(
    [
      'gate',
      '--baseline',
      before,
      '--candidate',
      worse,
      '--github',
      '--report',
      `junit=${junit}`,
      '--report',
      `markdown=${markdown}`,
    ],
    { env: { GITHUB_STEP_SUMMARY: summary } },
  );
  assert.equal(failed.code, 1);
  assert.match(failed.stdout, /^regression {4}counted {2}niah_single_1 512 query-aware snapkv @ 0\.5: kvCacheBytes/);
  assert.match(failed.stderr, /^::error title=regression%3A counted/m);
  assert.match(readFileSync(junit, 'utf8'), /<failure type="regression"/);
  assert.equal(readFileSync(markdown, 'utf8'), readFileSync(summary, 'utf8'));
  assert.equal((await gate('--candidate', other)).code, 3);
  assert.equal((await gate('--candidate', path.join(folder, 'nowhere'))).code, 3);
  assert.equal((await gate('--candidate', same, '--report', 'pdf=x')).code, 2);
  const policy = path.join(folder, 'time.yaml');
  writeFileSync(policy, 'version: 1\nqality: {}\n');
  assert.equal((await gate('--candidate', same, '--policy', policy)).code, 2);
});

test('compare prints tables, JSON, CSV and Markdown, and refuses another protocol with exit code 3', async () => {
  const compared = await runWinnow(['compare', before, worse]);
  assert.equal(compared.code, 0, compared.stderr);
  assert.match(compared.stdout, /Over all cells:\nsetting +against +n /);
  const json = await runWinnow(['compare', before, worse, '--json']);
  assert.equal((JSON.parse(json.stdout) as { cells: unknown[] }).cells.length, 8);
  assert.match((await runWinnow(['compare', before, '--csv'])).stdout, /^run,task,contextLength/);
  assert.match((await runWinnow(['compare', before, '--markdown', '--task', 'niah_single_1'])).stdout, /^# Comparison/);
  const refused = await runWinnow(['compare', before, other]);
  assert.equal(refused.code, 3);
  assert.match(refused.stderr, /^\[ERR_INCOMPARABLE\] [^\n]*protocols query-aware and query-agnostic[^\n]*\n$/);
  assert.equal((await runWinnow(['compare', before, '--margin', '0'])).code, 2);
  assert.equal((await runWinnow(['compare', before, '--csv', '--json'])).code, 2);
});

test('init ci writes a policy that its schema and its reader accept, a workflow with pinned actions, and replaces nothing unasked', async () => {
  const out = path.join(folder, 'ci');
  const made = await runWinnow(['init', 'ci', '--out', out]);
  assert.equal(made.code, 0, made.stderr);
  assert.deepEqual(readdirSync(out).sort(), ['.github', 'gate.schema.json', 'gate.yaml']);
  const text = readFileSync(path.join(out, 'gate.yaml'), 'utf8');
  assert.equal(parsePolicy(text, 'gate.yaml').outputs, 'exact');
  const schema = JSON.parse(readFileSync(path.join(out, 'gate.schema.json'), 'utf8')) as object;
  const isValid = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
  assert.ok(isValid(parse(text)), JSON.stringify(isValid.errors));
  assert.ok(!isValid({ version: 1, qality: {} }));
  const workflow = readFileSync(path.join(out, '.github/workflows/winnow.yml'), 'utf8');
  const actions = [...workflow.matchAll(/uses: (\S+)/g)].map(([, action]) => action!);
  assert.ok(actions.length >= 3 && actions.every((action) => /@[0-9a-f]{40}$/.test(action)));
  assert.ok(parse(workflow).jobs.gate);
  assert.equal((await runWinnow(['init', 'ci', '--out', out])).code, 2);
  assert.equal((await runWinnow(['init', 'ci', '--out', out, '--force'])).code, 0);
});

test('the policy of the project holds outputs and counts exactly', () => {
  const file = new URL('../results/baselines/gate.yaml', import.meta.url);
  const policy = parsePolicy(readFileSync(file, 'utf8'), 'results/baselines/gate.yaml');
  assert.deepEqual([policy.outputs, policy.counted.tolerance, policy.waivers], ['exact', 0, []]);
});
