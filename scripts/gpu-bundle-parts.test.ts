import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { createRandom } from '../core/random.js';
import { packParts } from './gpu-bundle-parts.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-parts-'));
after(() => rmSync(root, { recursive: true }));
const source = join(root, 'source');
mkdirSync(join(source, 'deep'), { recursive: true });
/** Does not compress, so that it takes several parts. */
const random = createRandom(1, 'parts');
const noise = Buffer.from(Uint32Array.from({ length: 40_000 }, () => random.uint32()).buffer);
writeFileSync(join(source, 'deep', 'noise.bin'), noise);
writeFileSync(join(source, 'winnow'), '#!/bin/sh\necho here\n', { mode: 0o755 });

const hasTools = ['tar', 'xz', 'sha256sum'].every((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0);
const unpack = (out: string, to: string, path = process.env.PATH) =>
  spawnSync('/bin/sh', [join(out, 'unpack.sh'), to], { encoding: 'utf8', env: { PATH: path } });

describe('bundles in parts', { skip: hasTools ? false : 'needs tar, xz and sha256sum' }, () => {
  const out = join(root, 'out');

  test('are cut to size, named by their checksums, the same again, and older parts go', () => {
    const parts = packParts(source, out, 'project', 50_000);
    assert.ok(parts.length >= 4, `${parts.length} parts`);
    assert.ok(parts.every(({ bytes }) => bytes <= 50_000));
    for (const { name, bytes, sha256 } of parts) {
      const file = readFileSync(join(out, name));
      assert.deepEqual([file.length, createHash('sha256').update(file).digest('hex')], [bytes, sha256]);
    }
    assert.deepEqual(packParts(source, out, 'project', 50_000), parts);
    packParts(source, out, 'project', 100_000);
    assert.ok(readdirSync(out).filter((name) => name.startsWith('project.tar.xz.')).length < parts.length);
  });

  test('unpack to what went in, modes too', () => {
    packParts(source, out, 'models', 2 ** 20);
    const to = join(root, 'to');
    const { status, stderr } = unpack(out, to);
    assert.deepEqual([status, stderr], [0, '']);
    assert.ok(readFileSync(join(to, 'deep', 'noise.bin')).equals(noise));
    assert.equal(statSync(join(to, 'winnow')).mode & 0o777, 0o755);
  });

  test('with a damaged or a missing part nothing is unpacked, and one line names them', () => {
    const to = join(root, 'nowhere');
    packParts(source, out, 'project', 50_000);
    const damaged = join(out, 'project.tar.xz.001');
    const bytes = readFileSync(damaged);
    bytes[100]! ^= 1;
    writeFileSync(damaged, bytes);
    const one = unpack(out, to);
    assert.equal(one.status, 1);
    assert.equal(one.stderr, 'unpack.sh: damaged or missing: project.tar.xz.001. Copy these parts again.\n');
    truncateSync(damaged, 10);
    rmSync(join(out, 'project.tar.xz.002'));
    const two = unpack(out, to);
    assert.equal(two.status, 1);
    assert.match(two.stderr, /^[^\n]*project\.tar\.xz\.001 project\.tar\.xz\.002\.[^\n]*\n$/);
    assert.ok(!existsSync(to));
  });
});
