/** What a run loses when its process is killed at any instant or the disk fails: nothing but the sample in flight. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assertSameRecords } from './fixtures/compare-runs.js';
import { syntheticCells, syntheticOptions, tinyShape, writeSyntheticRun } from './fixtures/synthetic-run.js';
import { openRun } from './run-directory.js';
import { listIds, readRunRecord, runPaths } from './run-files.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-faults-'));
after(() => rmSync(root, { recursive: true, force: true }));
const writer = fileURLToPath(new URL('./fixtures/write-run.ts', import.meta.url));
const nodeArgs = ['--import', 'tsx', writer];

const whole = join(root, 'whole');
writeSyntheticRun(whole, tinyShape);

/** Starts the writer, waits until it writes, and kills it `delayMs` later. Resolves to whether it was still running. */
const runAndKill = (dir: string, delayMs: number): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...nodeArgs, dir, 'tiny', '2'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let complaint = '';
    child.stderr.on('data', (data: Buffer) => {
      complaint += data.toString();
    });
    child.stdout.once('data', () => setTimeout(() => child.kill('SIGKILL'), delayMs));
    child.once('exit', (code, signal) => {
      if (signal === 'SIGKILL') resolve(true);
      else if (code === 0) resolve(false);
      else reject(new Error(`writer ended with ${code}: ${complaint}`));
    });
  });

test('30 times kill -9 at scattered instants: every recorded sample is kept and the result is the same, byte for byte', async () => {
  /** Kills writers of one folder after another until `wanted` kills have met a running one. */
  const chain = async (name: string, wanted: number, offset: number): Promise<void> => {
    let kills = 0;
    let attempts = 0;
    let dir = join(root, `${name}-0`);
    while (kills < wanted) {
      assert.ok(attempts++ < 3 * wanted, `only ${kills} of ${attempts} kills met a running writer`);
      const before = recorded(dir);
      const wasKilled = await runAndKill(dir, (attempts * 37 + offset) % 64);
      for (const sample of before) assert.ok(recorded(dir).has(sample), `${sample} was lost`);
      if (wasKilled) kills++;
      else {
        assertSameRecords(dir, whole);
        dir = join(root, `${name}-${attempts}`);
      }
    }
    writeSyntheticRun(dir, tinyShape);
    assertSameRecords(dir, whole);
    const { prefills, status } = readRunRecord(dir);
    assert.deepEqual([prefills, status], [8, 'finished']);
  };
  await Promise.all([chain('a', 15, 0), chain('b', 15, 19)]);
});

const recorded = (dir: string): Set<string> => {
  const { cells, journal } = runPaths(dir);
  const finished = listIds(cells, '.json').flatMap((cellId) =>
    Array.from({ length: tinyShape.samples }, (_, i) => `${cellId}/${i}`),
  );
  const lines = existsSync(journal) ? readFileSync(journal, 'utf8').split('\n').slice(0, -1) : [];
  const pending = lines.flatMap((line) =>
    Object.entries((JSON.parse(line) as { samples: Record<string, { index: number }[]> }).samples).flatMap(
      ([cellId, samples]) => samples.map(({ index }) => `${cellId}/${index}`),
    ),
  );
  return new Set([...finished, ...pending]);
};

test('a write that the system cuts short is one ERR_DISK, exit 74, and the same command later ends with the same bytes', () => {
  const dir = join(root, 'cut-short');
  const script = 'ulimit -f 16 && exec "$@"';
  const { status, stderr } = spawnSync('sh', ['-c', script, 'sh', process.execPath, ...nodeArgs, dir, 'tiny'], {
    encoding: 'utf8',
  });
  assert.equal(status, 74, stderr);
  assert.match(stderr.trim(), /^\[ERR_DISK\] .*EFBIG.*ulimit -f.*$/);
  assert.ok(recorded(dir).size > 0);
  writeSyntheticRun(dir, tinyShape);
  assertSameRecords(dir, whole);
});

/** Runs a shell script in a mount namespace of its own, where a tiny or read-only file system can be mounted on $1. */
const inNamespace = (script: string, dir: string): { status: number | null; stderr: string } =>
  spawnSync('unshare', ['--map-root-user', '--mount', 'sh', '-c', script, 'sh', dir, process.execPath, ...nodeArgs], {
    encoding: 'utf8',
  });

const mounts =
  spawnSync('unshare', ['--map-root-user', '--mount', 'sh', '-c', `mount -t tmpfs -o size=64k tmpfs ${root}`])
    .status === 0;
const skip = !mounts && 'this machine lets no test mount a file system of its own';

test('a full disk is one ERR_DISK with path and fix, exit 74, and the run goes on when there is space', {
  skip,
}, () => {
  const dir = mkdtempSync(join(root, 'full-'));
  const kept = mkdtempSync(join(root, 'kept-'));
  const script = `mount -t tmpfs -o size=96k tmpfs "$1" && shift_dir=$1 && shift && "$@" "$shift_dir" quickstart; code=$?; cp -r "$shift_dir/." ${kept}; exit $code`;
  const { status, stderr } = inNamespace(script, dir);
  assert.equal(status, 74, stderr);
  assert.match(stderr.trim(), /^\[ERR_DISK\] .*ENOSPC.*Free some space.*--out.*$/);
  assert.equal(stderr.trim().split('\n').length, 1);
  assert.ok(readdirSync(join(kept, 'samples')).length > 0 && existsSync(join(kept, 'run.json')));
});

test('a read-only folder is one ERR_DISK with exit 74', { skip }, () => {
  const dir = mkdtempSync(join(root, 'read-only-'));
  const { status, stderr } = inNamespace(
    'mount -t tmpfs -o ro tmpfs "$1" && dir=$1 && shift && exec "$@" "$dir" tiny',
    dir,
  );
  assert.equal(status, 74, stderr);
  assert.match(stderr, /^\[ERR_DISK\] .*EROFS.*--out/);
});

test('a disk that fills up again and again loses nothing: growing it step by step gives the same bytes', {
  skip,
}, () => {
  const dir = mkdtempSync(join(root, 'growing-'));
  const kept = mkdtempSync(join(root, 'grown-'));
  const script = `mount -t tmpfs -o size=20k tmpfs "$1" && dir=$1 && shift
    for size in 28k 44k 60k 76k 92k 400k; do "$@" "$dir" tiny >/dev/null 2>>${kept}.log; echo $? >>${kept}.codes; mount -o remount,size=$size "$dir"; done
    "$@" "$dir" tiny && cp -r "$dir/." ${kept}`;
  const { status, stderr } = inNamespace(script, dir);
  assert.equal(status, 0, stderr);
  const codes = readFileSync(`${kept}.codes`, 'utf8').trim().split('\n');
  assert.ok(codes.includes('74') && codes.every((code) => code === '74' || code === '0'), codes.join(' '));
  assertSameRecords(kept, whole);
});

test('a second writer is refused while the first lives and takes over when it is dead', async () => {
  const dir = join(root, 'two-writers');
  const child = spawn(process.execPath, [...nodeArgs, dir, 'tiny', '400'], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  assert.throws(() => openRun(syntheticOptions(dir, tinyShape)), {
    code: 'ERR_LOCKED',
    message: new RegExp(`${child.pid}`),
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
  const run = openRun(syntheticOptions(dir, tinyShape));
  assert.equal(run.resumed, true);
  run.close('interrupted');
  assert.equal(syntheticCells(tinyShape).length, 8);
});
