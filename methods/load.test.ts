import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { methods } from './index.js';
import { checkMethod, loadMethodFile, methodRef, resolveMethod } from './load.js';
import { parseParams } from './params.js';

const folder = mkdtempSync(join(tmpdir(), 'winnow-methods-'));
after(() => rmSync(folder, { recursive: true }));

const contractUrl = (name: string): string => pathToFileURL(join(import.meta.dirname, name)).href;
const write = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const valid = `
import { z } from '${contractUrl('../node_modules/zod/index.js')}';
import { defineEvictor } from '${contractUrl('evictor.js')}';
export default defineEvictor({
  id: 'largest-value', name: 'Largest value', source: { title: 'Mine' }, deviations: [], training: 'none',
  parameters: z.strictObject({ recentTokens: z.int().min(0).default(1) }),
  protect: ({ recentTokens }) => ({ sinks: 0, recents: recentTokens }),
  comparable: 'head',
  score: ({ ops, slots }) => ops.slotNorms(slots, 'values'),
});`;

test('a file outside the tree is a method like any other', async () => {
  const method = await resolveMethod(methodRef(write('mine.ts', valid)));
  assert.equal(method.id, 'largest-value');
  assert.deepEqual(parseParams(method, {}), { recentTokens: 1 });
});

test('a path is told from an id by its slash or its ending', () => {
  assert.deepEqual(methodRef('./mine.ts'), { id: './mine.ts', file: './mine.ts', params: {} });
  assert.deepEqual(methodRef('mine.mjs').file, 'mine.mjs');
  assert.deepEqual(methodRef('snapkv+quest', { a: 1 }), { id: 'snapkv+quest', params: { a: 1 } });
});

test('a file that is missing, does not load or exports no method is one clear error', async () => {
  await assert.rejects(loadMethodFile(join(folder, 'none.ts')), { code: 'ERR_MISSING', message: /none\.ts/ });
  await assert.rejects(loadMethodFile(write('broken.ts', 'export default {')), {
    code: 'ERR_CONTRACT',
    message: /a module that loads/,
  });
  await assert.rejects(loadMethodFile(write('empty.ts', 'export const x = 1;')), {
    code: 'ERR_CONTRACT',
    message: /default export.*add-a-method/,
  });
  await assert.rejects(loadMethodFile(write('throws.ts', 'throw new Error("boom");')), {
    code: 'ERR_CONTRACT',
    message: /boom/,
  });
});

test('the first wrong field is named with what it should be', () => {
  const method = methods[0]!;
  const check = (change: object) => () => checkMethod('mine.ts', { ...method, ...change });
  assert.throws(check({ id: 'My Method' }), { code: 'ERR_CONTRACT', message: /mine\.ts\.id.*kebab case/ });
  assert.throws(check({ family: 'magic' }), { code: 'ERR_CONTRACT', message: /mine\.ts\.family/ });
  assert.throws(check({ hooks: undefined }), { code: 'ERR_CONTRACT', message: /mine\.ts\.hooks: expected a function/ });
  assert.throws(check({ parameters: { a: 1 } }), { code: 'ERR_CONTRACT', message: /zod schema/ });
  assert.throws(check({ budgetAxis: 'bytes' }), { code: 'ERR_CONTRACT', message: /budgetAxis/ });
  assert.doesNotThrow(check({}));
});

test('parameters that take any key are refused, since a slip in a suite would pass unseen', async () => {
  const loose = valid.replace('z.strictObject', 'z.object');
  await assert.rejects(loadMethodFile(write('loose.ts', loose)), { code: 'ERR_CONTRACT', message: /strictObject/ });
});

test('ids joined by + and refs with parts are compositions', async () => {
  assert.equal((await resolveMethod({ id: 'quest+knorm', params: {} })).id, 'knorm+quest');
  const file = write('part.ts', valid);
  const composed = await resolveMethod({
    id: 'compose',
    params: {},
    parts: [
      { id: '', file, params: { recentTokens: 3 } },
      { id: 'kivi', params: { bits: 4 } },
    ],
  });
  assert.equal(composed.id, 'largest-value+kivi');
  assert.deepEqual(new Map(Object.entries(parseParams(composed, {}))).get('largest-value'), { recentTokens: 3 });
});

test('an unknown id suggests the nearest name', async () => {
  await assert.rejects(resolveMethod({ id: 'snapvk', params: {} }), {
    code: 'ERR_USAGE',
    message: /Did you mean snapkv\?/,
  });
  await assert.rejects(resolveMethod({ id: 'knorm+qest', params: {} }), {
    code: 'ERR_USAGE',
    message: /Did you mean quest\?/,
  });
});
