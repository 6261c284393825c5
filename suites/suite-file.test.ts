import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { WinnowError } from '../core/errors.js';
import { listSuites, loadSuite, parseSuite } from './suite-file.js';
import { suiteJsonSchema } from './suite-file-schema.js';
import { generatedTasks, taskIds } from './tasks/index.js';

const GOOD = `id: example
version: 1
question: Does it work?
samples: 20
lengths: [512, 4k]
tasks:
  - niah_single_2
  - id: niah_multikey_1
    name: two-keys
    params: {keys: 2}
    maxNewTokens: 16
    lengths: [1k]
methods:
  - dense
  - {id: kivi, params: {bits: 2}}
  - compose: [snapkv, quest, {id: kivi, params: {bits: 4}}]
keptFractions: [0.5, 25%]
exclude:
  - {method: kivi, when: {length: 4k, task: two-keys}, reason: too slow}
`;
const parse = (text: string) => parseSuite(text, 'x.yaml', '.');
const failureOf = async (promise: Promise<unknown>): Promise<WinnowError> => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof WinnowError, String(error));
  return error;
};
/** The message for GOOD with one text replaced. */
const messageFor = async (from: string, to: string): Promise<string> => {
  assert.ok(GOOD.includes(from), from);
  const error = await failureOf(parse(GOOD.replace(from, to)));
  assert.equal(error.code, 'ERR_SUITE');
  return error.message.replace('[ERR_SUITE] ', '');
};

test('every default is written out', async () => {
  const suite = await parse(GOOD);
  assert.equal(suite.model, 'smollm2-135m-instruct');
  assert.equal(suite.seed, 0);
  assert.equal(suite.chatTemplate, true);
  assert.deepEqual(suite.protocols, ['query-aware']);
  assert.deepEqual(suite.lengths, [512, 4096]);
  assert.deepEqual(suite.keptFractions, [0.5, 0.25]);
  assert.deepEqual(suite.tasks[1], {
    id: 'niah_multikey_1',
    name: 'two-keys',
    params: {
      haystack: 'essay',
      keys: 2,
      values: 1,
      queries: 1,
      keyType: 'words',
      valueType: 'numbers',
      sampling: 'independent',
    },
    maxNewTokens: 16,
    lengths: [1024],
  });
  assert.equal(suite.tasks[0]?.maxNewTokens, 128);
  assert.deepEqual(suite.methods[0], { id: 'dense', params: {} });
  assert.equal(suite.methods[1]?.params.bits, 2);
  assert.ok(Object.keys(suite.methods[1]?.params ?? {}).length > 1, 'the other parameters of kivi are there');
  assert.equal(suite.methods[2]?.id, 'snapkv+quest+kivi');
  assert.deepEqual(
    suite.methods[2]?.parts?.map(({ id }) => id),
    ['snapkv', 'quest', 'kivi'],
  );
  assert.deepEqual(suite.exclude, [
    { method: 'kivi', reason: 'too slow', when: { task: ['two-keys'], length: [4096] } },
  ]);
});

test('unknown keys, tasks, methods and parameters name their place and the near name', async () => {
  assert.match(
    await messageFor('samples: 20', 'sampels: 20'),
    /^x\.yaml:4:1 sampels: expected a known key, got "sampels"\. Did you mean samples\?/,
  );
  assert.match(
    await messageFor('- niah_single_2', '- niah_singel_2'),
    /^x\.yaml:7:5 tasks\[0\]: expected a known task.* Did you mean niah_single_2\?/,
  );
  assert.match(
    await messageFor('id: niah_multikey_1', 'id: niah_multikey'),
    /^x\.yaml:8:9 tasks\[1\]\.id: .* Did you mean niah_multikey_1\?/,
  );
  assert.match(
    await messageFor('{keys: 2}', '{key: 2}'),
    /^x\.yaml:10:14 tasks\[1\]\.params\.key: .* Did you mean keys\?/,
  );
  assert.match(
    await messageFor('- dense', '- dens'),
    /^x\.yaml:14:5 methods\[0\]: expected a known method.* Did you mean dense\?/,
  );
  assert.match(
    await messageFor('{bits: 2}', '{bit: 2}'),
    /^x\.yaml:15:25 methods\[1\]\.params\.bit: .* Did you mean bits\?/,
  );
  assert.match(
    await messageFor('[snapkv,', '[snapvk,'),
    /^x\.yaml:16:15 methods\[2\]\.compose\[0\]: .* Did you mean snapkv\?/,
  );
  assert.match(
    await messageFor('when: {length', 'when: {lenght'),
    /^x\.yaml:19:27 exclude\[0\]\.when\.lenght: .* Did you mean length\?/,
  );
  assert.match(
    await messageFor('{method: kivi', '{method: snapkv'),
    /^x\.yaml:19:14 exclude\[0\]\.method: expected a method of this suite/,
  );
});

test('wrong values say what was expected and what is there', async () => {
  assert.match(await messageFor('version: 1', 'version: one'), /^x\.yaml:2:10 version: expected a number, got "one"/);
  assert.match(
    await messageFor('samples: 20', 'samples: 0'),
    /^x\.yaml:4:10 samples: expected a number of at least 1, got 0/,
  );
  assert.match(await messageFor('4k]', '4q]'), /^x\.yaml:5:16 lengths\[1\]: expected a length in tokens.*, got "4q"/);
  assert.match(
    await messageFor('{keys: 2}', '{keys: 99}'),
    /^x\.yaml:10:20 tasks\[1\]\.params\.keys: expected a number of at most 40, got 99/,
  );
  assert.match(
    await messageFor('keptFractions: [0.5', 'keptFractions: [1.5'),
    /^x\.yaml:17:17 keptFractions\[0\]: expected a fraction kept/,
  );
  assert.match(
    await messageFor('- dense', '- 7'),
    /^x\.yaml:14:5 methods\[0\]: expected text or fields \(key: value\), got 7/,
  );
  assert.match(await messageFor('question: Does it work?\n', ''), /^x\.yaml:1:1 question: expected text, got nothing/);
  assert.match(
    await messageFor('lengths: [512, 4k]\n', ''),
    /tasks\[0\]: expected lengths, here or for the whole suite/,
  );
  assert.match(
    await messageFor('keptFractions: [0.5, 25%]', 'protocols: [query-awre]'),
    /expected one of query-aware, query-agnostic.* Did you mean query-aware\?/,
  );
});

test('what is listed twice is an error', async () => {
  assert.match(
    await messageFor('samples: 20', 'samples: 20\nsamples: 30'),
    /^x\.yaml:5:1 samples: expected each key once, got "a second samples"/,
  );
  assert.match(await messageFor('[512, 4k]', '[4096, 4k]'), /^x\.yaml:5:17 lengths\[1\]: expected each entry once/);
  assert.match(
    await messageFor('- dense', '- dense\n  - dense'),
    /^x\.yaml:15:5 methods\[1\]: expected each entry once, got "dense again"/,
  );
  assert.match(
    await messageFor('name: two-keys', 'name: niah_single_2'),
    /^x\.yaml:8:5 tasks\[1\]: expected each entry once/,
  );
  assert.match(await messageFor('25%]', '0.5]'), /keptFractions\[1\]: expected each entry once, got "0.5 again"/);
});

test('text that is not YAML is an error with its place', async () => {
  assert.match(await messageFor('lengths: [512', 'lengths: [512: ['), /^x\.yaml:\d+:\d+: expected YAML, got /);
  assert.match(
    (await failureOf(parse(''))).message,
    /^\[ERR_SUITE\] x\.yaml:1:1: expected fields \(key: value\), got nothing/,
  );
  const bomb = `a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c]\n`;
  assert.match((await failureOf(parse(bomb))).message, /expected aliases that repeat little/);
});

test('parts that do not go together are an error of the suite', async () => {
  assert.match(
    await messageFor('[snapkv, quest,', '[snapkv, tova,'),
    /^x\.yaml:16:14 methods\[2\]\.compose: expected parts that go together, got "snapkv \+ tova \+ kivi"\. Expected at most one evictor/,
  );
});

test('whatever is written in place of a value, the error is ours', async () => {
  const keys = [
    'version: 1',
    'samples: 20',
    'lengths: [512, 4k]',
    '- niah_single_2',
    '- dense',
    'keptFractions: [0.5, 25%]',
  ];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...keys), fc.string({ maxLength: 12 }), async (key, junk) => {
      const head = key.startsWith('-') ? '- ' : `${key.split(':')[0]}: `;
      await parse(GOOD.replace(key, `${head}${junk}`)).catch((error: unknown) => {
        assert.ok(error instanceof WinnowError && error.code !== 'ERR_INTERNAL', String(error));
      });
    }),
    { numRuns: 200 },
  );
});

test('overrides replace what they name and leave the rest', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-suite-'));
  const path = join(folder, 'mine.yaml');
  writeFileSync(path, GOOD);
  try {
    const { suite: plain, sha256 } = await loadSuite(path);
    assert.deepEqual(plain, await parse(GOOD));
    const overrides = {
      tasks: ['niah_multikey_1', 'vt'],
      lengths: [2048],
      methods: ['kivi', 'tova'],
      tokenBudgets: [64],
      limit: 5,
      seed: 9,
    };
    const { suite, sha256: changed } = await loadSuite(path, overrides);
    assert.notEqual(changed, sha256);
    assert.deepEqual(
      suite.tasks.map(({ name }) => name),
      ['two-keys', 'vt'],
    );
    assert.deepEqual(suite.lengths, [2048]);
    assert.ok(suite.tasks.every(({ lengths }) => lengths === undefined));
    assert.deepEqual(
      suite.methods.map(({ id }) => id),
      ['dense', 'kivi', 'tova'],
    );
    assert.equal(suite.methods[1]?.params.bits, 2);
    assert.deepEqual([suite.keptFractions, suite.tokenBudgets], [[], [64]]);
    assert.deepEqual([suite.samples, suite.seed, suite.model], [5, 9, plain.model]);
    assert.equal((await loadSuite(path, { samples: 50, limit: 100 })).suite.samples, 50);

    const task = await failureOf(loadSuite(path, { tasks: ['two-key'] }));
    assert.match(task.message, /^\[ERR_USAGE\] --task: .* Did you mean two-keys\?/);
    const method = await failureOf(loadSuite(path, { methods: ['tovaa'] }));
    assert.match(method.message, /^\[ERR_USAGE\] --method: .* Did you mean tova\?/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a file haystack starts at the folder of the suite and is known by its hash', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-suite-'));
  const path = join(folder, 'mine.yaml');
  const withFile = GOOD.replace('{keys: 2}', '{haystack: {file: my.txt}}');
  writeFileSync(path, withFile);
  try {
    const missing = await failureOf(loadSuite(path));
    assert.equal(missing.code, 'ERR_MISSING');
    writeFileSync(join(folder, 'my.txt'), 'One sentence. Another one.');
    const haystack = (await loadSuite(path)).suite.tasks[1]?.params.haystack as Record<string, string>;
    assert.match(haystack.sha256!, /^[0-9a-f]{64}$/);
    writeFileSync(path, withFile.replace('my.txt', `my.txt, sha256: ${'a'.repeat(64)}`));
    assert.equal((await failureOf(loadSuite(path))).code, 'ERR_CHECKSUM');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('an unknown suite and a missing file are told apart', async () => {
  assert.match((await failureOf(loadSuite('quikstart'))).message, /^\[ERR_USAGE\] suite: .* Did you mean quickstart\?/);
  assert.equal((await failureOf(loadSuite('./none.yaml'))).code, 'ERR_MISSING');
});

test('every suite of the folder loads and is listed with its question', async () => {
  const listed = listSuites();
  assert.deepEqual(
    listed.map(({ id }) => id),
    readdirSync(new URL('.', import.meta.url))
      .filter((file) => file.endsWith('.yaml'))
      .map((file) => file.replace('.yaml', ''))
      .sort(),
  );
  for (const { id } of listed) assert.equal((await loadSuite(id)).suite.id, id);
});

test('the floor suite checks every generated task, with the controls alone', async () => {
  const { suite } = await loadSuite('floor');
  const ids = new Set(suite.tasks.map(({ id }) => id));
  for (const { id } of generatedTasks()) assert.ok(ids.has(id), `${id} is missing in suites/floor.yaml`);
  assert.deepEqual(
    suite.methods.map((method) => ('id' in method ? method.id : undefined)),
    ['dense', 'random', 'oracle'],
  );
});

test('the JSON Schema names every key of a suite file', () => {
  const { properties } = suiteJsonSchema() as { properties: object };
  assert.deepEqual(Object.keys(properties).sort(), [
    ...['chatTemplate', 'exclude', 'id', 'keptFractions', 'lengths', 'methods', 'model', 'protocols'],
    ...['question', 'samples', 'seed', 'superiority', 'tasks', 'timed', 'tokenBudgets', 'version'],
  ]);
});

test('the suite of docs/suites.md is a suite', async () => {
  const text = readFileSync(new URL('../docs/suites.md', import.meta.url), 'utf8');
  const blocks = [...text.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, yaml]) => yaml!);
  assert.ok(blocks.length > 0);
  for (const yaml of blocks) assert.equal((await parseSuite(yaml, 'docs/suites.md', '.')).id, 'my-suite');
  for (const task of taskIds()) assert.ok(text.includes(`\`${task}\``), `${task} is in the table`);
});

test('superiority names methods of the suite, from the file or before the run from the command line, and is absent unless claimed', async () => {
  assert.ok(!('superiority' in (await parse(GOOD))));
  assert.deepEqual((await parse(`${GOOD}superiority: [kivi]\n`)).superiority, ['kivi']);
  const error = await failureOf(parse(`${GOOD}superiority: [kivvi]\n`));
  assert.match(error.message, /superiority\[0\]: expected a method of this suite, got "kivvi"\. Did you mean kivi\?/);
  const { suite } = await loadSuite('smoke', { superiority: ['snapkv'], methods: ['snapkv'] });
  assert.deepEqual(suite.superiority, ['snapkv']);
  assert.equal((await failureOf(loadSuite('smoke', { superiority: ['tova'] }))).code, 'ERR_USAGE');
});

test('timed names tasks of the suite and is absent unless said', async () => {
  assert.ok(!('timed' in (await parse(GOOD))));
  const task = (await parse(GOOD)).tasks[0]!.name;
  const timed = { tasks: [task], protocols: ['query-aware'] };
  assert.deepEqual((await parse(`${GOOD}timed: ${JSON.stringify(timed)}\n`)).timed, timed);
  await assert.rejects(parse(`${GOOD}timed: {tasks: [nothing]}\n`), { code: 'ERR_SUITE', message: /nothing/ });
});
