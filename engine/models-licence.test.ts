import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { runWinnow } from '../scripts/run-winnow.js';
import { manifestEntry, manifestTerms, pullModel } from './models.js';
import { acceptedLicences, acceptLicences } from './models-licence.js';

suite('a licence that has to be accepted', () => {
  const cache = mkdtempSync(join(tmpdir(), 'winnow-licence-'));
  const kept = { cache: process.env.WINNOW_CACHE, offline: process.env.WINNOW_OFFLINE };
  before(() => {
    process.env.WINNOW_CACHE = cache;
    process.env.WINNOW_OFFLINE = '1';
  });
  after(() => {
    for (const [name, value] of [
      ['WINNOW_CACHE', kept.cache],
      ['WINNOW_OFFLINE', kept.offline],
    ] as const) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    rmSync(cache, { recursive: true });
  });

  test('is named with its text and the flag before anything is fetched', async () => {
    await assert.rejects(pullModel('gemma-3-270m'), {
      code: 'ERR_USAGE',
      message: /Gemma Terms of Use \(https:\/\/ai\.google\.dev\/gemma\/terms\).*--accept-licence gemma/,
    });
    const { code, stdout, stderr } = await runWinnow(['models', 'pull', 'gemma-3-270m']);
    assert.deepEqual([code, stdout, stderr.split('\n').length], [2, '', 2]);
    assert.match(stderr, /--accept-licence gemma/);
  });

  test('is remembered in the cache folder once it was accepted', async () => {
    assert.deepEqual([...acceptedLicences()], []);
    acceptLicences(['gemma'], manifestTerms);
    acceptLicences(['gemma'], manifestTerms);
    assert.deepEqual([...acceptedLicences()], ['gemma']);
    assert.equal(readFileSync(join(cache, 'accepted-licences.json'), 'utf8'), '["gemma"]\n');
    // What fails now is the download.
    await assert.rejects(pullModel('gemma-3-270m'), { code: 'ERR_UNREACHABLE' });
  });

  test('must be one that a model asks for; a damaged record is an error, not a yes', () => {
    assert.throws(() => acceptLicences(['mit'], manifestTerms), {
      code: 'ERR_USAGE',
      message: /one of gemma, got "mit"/,
    });
    writeFileSync(join(cache, 'accepted-licences.json'), '["gem');
    assert.throws(() => acceptedLicences(), { code: 'ERR_MODEL_FORMAT' });
  });
});

test('a model in parts names wheels whose sizes add up to the file', () => {
  const { file, sources } = manifestEntry('gemma-3-270m');
  const wheels = sources.find(({ kind }) => kind === 'wheels');
  assert.ok(wheels?.kind === 'wheels');
  assert.equal(
    wheels.parts.reduce((sum, { bytes }) => sum + bytes, 0),
    file.bytes,
  );
});
