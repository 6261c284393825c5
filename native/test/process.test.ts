import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { WinnowError } from '../../core/errors.js';
import { loadAddon, openAddon } from '../index.js';

const native = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const buildScript = path.join(native, 'build.mjs');
const binary = path.join(native, 'build', 'winnow.node');

/** A product over many panels, so that the pool has work for every thread. */
const BUSY = `
  const { createRequire } = require('node:module');
  const addon = createRequire(process.cwd() + '/')(${JSON.stringify(binary)});
  addon.configure(addon.cpuFacts().isas[0], 'reference', 2);
  const bytes = new Uint8Array(640 * 64 * 4);
  const w = addon.packWeight([{ bytes, byteOffset: 0, type: 'F32', rows: 640, cols: 64, interleavedHeads: 0 }], 0);
  const x = addon.tensor('f32', [200, 64]);
  const out = addon.tensor('f32', [200, 640]);
  for (let i = 0; i < 50; i++) addon.linear(x, w, 0, 0, out);
`;

describe('the addon in its process', () => {
  const scratch = mkdtempSync(path.join(tmpdir(), 'winnow-native-'));
  after(() => rmSync(scratch, { recursive: true, force: true }));

  test('a missing or damaged binary is one typed error that says how to rebuild', () => {
    const damaged = path.join(scratch, 'damaged.node');
    writeFileSync(damaged, 'not a library');
    for (const file of [path.join(scratch, 'absent.node'), damaged]) {
      assert.throws(
        () => openAddon(file),
        (error: unknown) =>
          error instanceof WinnowError &&
          error.code === 'ERR_NATIVE_LOAD' &&
          error.message.includes('native/build.mjs'),
      );
    }
  });

  test('workers come and go while their pool threads live on', async () => {
    const addon = loadAddon();
    addon.configure(addon.cpuFacts().isas[0]!, 'native', 2);
    for (let round = 0; round < 3; round++) {
      const worker = new Worker(BUSY, { eval: true });
      const code = await new Promise((resolve, reject) => {
        worker.once('exit', resolve);
        worker.once('error', reject);
      });
      assert.equal(code, 0);
      const t = addon.tensor('f32', [256, 576]);
      const gain = addon.tensor('f32', [576]);
      addon.rmsNorm(t, gain, 1e-5, 0, t);
      addon.free(t);
      addon.free(gain);
    }
  });

  test('the process may exit while pool threads spin', () => {
    const child = spawnSync(process.execPath, ['-e', `${BUSY}; process.exit(7);`], { encoding: 'utf8' });
    assert.equal(child.status, 7, child.stderr);
  });

  test('a build with nothing to do leaves the binary alone', () => {
    spawnSync(process.execPath, [buildScript]); // in a working copy the binary may be stale
    const before = statSync(binary).mtimeMs;
    const child = spawnSync(process.execPath, [buildScript], { encoding: 'utf8' });
    assert.equal(child.status, 0, child.stderr);
    assert.equal(statSync(binary).mtimeMs, before);
  });

  test('a missing CMake or compiler is one message that names packages, and exit code 3', () => {
    const onlyCMake = path.join(scratch, 'bin');
    const found = spawnSync('sh', ['-c', 'mkdir -p "$0" && command -v cmake', onlyCMake], { encoding: 'utf8' });
    symlinkSync(found.stdout.trim(), path.join(onlyCMake, 'cmake'));
    const { CXX: _, ...environment } = process.env;
    for (const folder of [path.join(scratch, 'empty'), onlyCMake]) {
      const env = { ...environment, PATH: folder };
      const child = spawnSync(process.execPath, [buildScript, '--force'], { encoding: 'utf8', env });
      assert.equal(child.status, 3);
      assert.match(child.stderr, /^\[ERR_NATIVE_BUILD\] .*apt-get install g\+\+ cmake.*dnf install.*\n$/);
    }
  });
});
