import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { lockRun } from './run-lock.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-lock-'));
after(() => rmSync(root, { recursive: true, force: true }));
const newFolder = (): string => mkdtempSync(join(root, 'run-'));

const leaveLock = (folder: string, owner: { host: string; pid: number; started: string }): void =>
  writeFileSync(join(folder, `.lock-${owner.pid}-00000000`), JSON.stringify(owner));

test('a folder is locked once, also against its own process, and free after release', () => {
  const folder = newFolder();
  const lock = lockRun(folder);
  assert.throws(() => lockRun(folder), {
    code: 'ERR_LOCKED',
    exitCode: 3,
    message: new RegExp(`process ${process.pid} on`),
  });
  lock.release();
  assert.deepEqual(readdirSync(folder), []);
  lockRun(folder).release();
});

test('the lock of a living process of this machine holds', async () => {
  const folder = newFolder();
  const other = spawn('sleep', ['60']);
  try {
    leaveLock(folder, { host: hostname(), pid: other.pid!, started: 'unknown' });
    assert.throws(() => lockRun(folder), { code: 'ERR_LOCKED', message: new RegExp(`process ${other.pid} `) });
  } finally {
    other.kill('SIGKILL');
    await once(other, 'exit');
  }
  lockRun(folder).release();
  assert.deepEqual(readdirSync(folder), []);
});

test('the lock of a process whose pid was given out again is taken over', {
  skip: process.platform !== 'linux' && 'start times of processes are read from /proc',
}, () => {
  const folder = newFolder();
  leaveLock(folder, { host: hostname(), pid: 1, started: 'another boot/1' });
  lockRun(folder).release();
  assert.deepEqual(readdirSync(folder), []);
});

test('the lock of another machine holds, and the message says which file to remove', () => {
  const folder = newFolder();
  leaveLock(folder, { host: 'elsewhere', pid: 4_000_000, started: 'x' });
  assert.throws(() => lockRun(folder), { code: 'ERR_LOCKED', message: /on elsewhere.*remove .*\.lock-4000000/ });
  assert.equal(readdirSync(folder).length, 1);
});

test('an unreadable lock of a dead process is taken over', () => {
  const folder = newFolder();
  const pid = Number(execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }));
  writeFileSync(join(folder, `.lock-${pid}-00000000`), '');
  lockRun(folder).release();
  assert.deepEqual(readdirSync(folder), []);
});
