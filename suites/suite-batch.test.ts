import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseMemory } from '../core/units.js';
import { loadSuite, parseSuite } from './suite-file.js';

const SUITE = `id: example
version: 1
question: Does it work?
samples: 2
lengths: [1k]
tasks: [niah_single_2]
methods: [dense, snapkv]
tokenBudgets: [64]
`;
const folder = mkdtempSync(join(tmpdir(), 'winnow-suite-batch-'));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'example.yaml');

const timedOf = async (timed: string) => (await parseSuite(`${SUITE}timed: ${timed}\n`, 'x.yaml', '.')).timed;

test('a suite says which batches are timed, of which methods and lengths, and what the largest has to fit', async () => {
  assert.deepEqual(await timedOf('{batch: {sizes: [1, 4, largest], methods: [snapkv], lengths: [8k], memory: 40g}}'), {
    batch: { sizes: [1, 4, 'largest'], methods: ['snapkv'], lengths: [8192], memoryBytes: 40 * 2 ** 30 },
  });
  assert.deepEqual(await timedOf('{batch: {sizes: [2]}}'), { batch: { sizes: [2] } });
  for (const [timed, message] of [
    ['{batch: {sizes: [65]}}', /sizes/],
    ['{batch: {sizes: [most]}}', /sizes/],
    ['{batch: {sizes: []}}', /sizes/],
    ['{batch: {sizes: [1], memory: lots}}', /8g/],
    ['{batch: {sizes: [1], methods: [quest]}}', /a method of this suite.*quest/],
  ] as const)
    await assert.rejects(timedOf(timed), { code: 'ERR_SUITE', message });
});

test('the command line times batches of every setting of a run, or only says how much memory there is', async () => {
  writeFileSync(file, `${SUITE}timed: {warmUp: first, batch: {sizes: [1], methods: [dense]}}\n`);
  const timed = async (overrides: object) => (await loadSuite(file, overrides)).suite.timed;
  assert.deepEqual(await timed({ batch: [2, 'largest'], memoryBytes: 99 }), {
    warmUp: 'first',
    batch: { sizes: [2, 'largest'], memoryBytes: 99 },
  });
  assert.deepEqual((await timed({ memoryBytes: 99 }))?.batch, { sizes: [1], methods: ['dense'], memoryBytes: 99 });
  writeFileSync(file, SUITE);
  await assert.rejects(timed({ memoryBytes: 99 }), { code: 'ERR_USAGE', message: /--batch largest/ });
});

test('memory is spelled in bytes or by powers of 1024', () => {
  assert.deepEqual(['8g', '1.5m', '64K', '100', 7, '0', '1.3', 'g', '-1', '9x', 0.5].map(parseMemory), [
    8 * 2 ** 30,
    1.5 * 2 ** 20,
    65_536,
    100,
    7,
    ...Array(6).fill(undefined),
  ]);
});
