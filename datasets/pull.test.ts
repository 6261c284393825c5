import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { WinnowError } from '../core/errors.js';
import { openDataset } from './index.js';
import { missingData } from './published-data.js';
import { pullDataset } from './pull.js';
import { verifyDataset } from './verify.js';

const root = mkdtempSync(path.join(tmpdir(), 'winnow-pull-'));
const before = process.env.WINNOW_CACHE;
process.env.WINNOW_CACHE = path.join(root, 'cache');
after(() => {
  if (before === undefined) delete process.env.WINNOW_CACHE;
  else process.env.WINNOW_CACHE = before;
  rmSync(root, { recursive: true, force: true });
});

const rejects = (what: Promise<unknown>, code: string, pattern: RegExp): Promise<void> =>
  assert.rejects(what, (error) => {
    assert.ok(error instanceof WinnowError && error.code === code, String(error));
    assert.match(error.message, pattern);
    return true;
  });
const folderWith = (files: Readonly<Record<string, string>>): string => {
  const folder = mkdtempSync(path.join(root, 'from-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  return folder;
};
const cached = (id: string): string[] => {
  const folder = path.join(root, 'cache', 'datasets', id);
  return existsSync(folder) ? readdirSync(folder) : [];
};

test('a file of another hash than the manifest, an empty folder and a wrong path are refused, and nothing is left', async () => {
  const other = folderWith({ 'hotpot_dev_distractor_v1.json': '[{"question":"?"}]' });
  await rejects(pullDataset('hotpotqa', { from: other }), 'ERR_CHECKSUM', /expected sha256 4e9ecb5c/);
  await rejects(pullDataset('hotpotqa', { from: folderWith({}) }), 'ERR_MISSING', /hotpot_dev_distractor_v1\.json/);
  await rejects(pullDataset('hotpotqa', { from: path.join(root, 'nowhere') }), 'ERR_MISSING', /--from/);
  await rejects(pullDataset('hotpot'), 'ERR_USAGE', /hotpotqa/);
  assert.deepEqual(cached('hotpotqa'), []);
});

test('a file without a known hash must be readable and have the records of the manifest', async () => {
  const page = folderWith({ 'MultiHopRAG.json': '<!doctype html>' });
  await rejects(pullDataset('multihop-rag', { from: page }), 'ERR_DATASET_FORMAT', /a JSON array of records/);
  const short = folderWith({ 'MultiHopRAG.json': '[{"query":"?"}]' });
  await rejects(pullDataset('multihop-rag', { from: short }), 'ERR_DATASET_FORMAT', /2556 records/);
  assert.deepEqual(cached('multihop-rag'), []);
});

const oracle = 'lost_in_the_middle/nq-open-oracle.jsonl.gz';
test('a pulled file is found, verified, and refused once its bytes change', { skip: missingData(oracle) }, async () => {
  const data = new URL('../../shared/data/lost_in_the_middle/', import.meta.url).pathname;
  mkdirSync(path.join(root, 'copy'));
  copyFileSync(path.join(data, 'nq-open-oracle.jsonl.gz'), path.join(root, 'copy', 'nq-open-oracle.jsonl.gz'));
  const pulled = await pullDataset('nq-multidoc', { from: path.join(root, 'copy') });
  assert.equal(pulled.files[0]!.trust, 'manifest');
  assert.equal((await pullDataset('nq-multidoc')).files[0]!.state, 'there', 'no network is needed for what is there');
  assert.equal(openDataset('nq-multidoc').size, 2655);
  assert.equal(verifyDataset('nq-multidoc').files[0]!.state, 'there');
  writeFileSync(path.join(pulled.folder, 'nq-open-oracle.jsonl.gz'), 'other bytes');
  assert.throws(() => openDataset('nq-multidoc'), /ERR_CHECKSUM/);
  assert.throws(() => verifyDataset('nq-multidoc'), /ERR_CHECKSUM/);
});
