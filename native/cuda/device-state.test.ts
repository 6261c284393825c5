/** Clocks, temperature and power by the management library, over a stand-in for it that a compiler makes here. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hostBinary, hostSkip } from './test/host-backend.js';

const compiler = ['c++', 'g++', 'clang++'].find((name) => spawnSync(name, ['--version']).status === 0);
const skip =
  hostSkip || process.platform !== 'linux' || compiler === undefined
    ? hostSkip || 'needs Linux and a C++ compiler'
    : false;
const scratch = mkdtempSync(join(tmpdir(), 'winnow-nvml-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

const source = fileURLToPath(new URL('test/fake_nvml.cpp', import.meta.url));
const loader = fileURLToPath(new URL('../cuda-addon.ts', import.meta.url));
const print = `const { openCudaAddon } = await import(${JSON.stringify(loader)});
console.log(JSON.stringify(openCudaAddon(${JSON.stringify(hostBinary)}).deviceState()));`;

/** What a process that finds this library says; without one, what it says of none. */
const stateWith = (name: string, defined?: readonly string[]): unknown => {
  const folder = join(scratch, name);
  mkdirSync(folder);
  if (defined !== undefined) {
    const library = join(folder, 'libnvidia-ml.so.1');
    const flags = ['-shared', '-fPIC', '-o', library, source, ...defined.map((word) => `-D${word}`)];
    const built = spawnSync(compiler ?? '', flags, { encoding: 'utf8' });
    assert.equal(built.status, 0, built.stderr);
  }
  const child = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', print], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, LD_LIBRARY_PATH: folder },
  });
  assert.equal(child.status, 0, child.stderr);
  return JSON.parse(child.stdout);
};

suite('the state of a device', { skip }, () => {
  test('every value in its unit, of the device at the address of ours', () => {
    assert.deepEqual(stateWith('all', []), {
      smClockMhz: 1980,
      memoryClockMhz: 2619,
      temperatureCelsius: 41,
      powerWatts: 118.25,
    });
  });

  test('a function that is missing or fails leaves its value out', () => {
    assert.deepEqual(stateWith('some', ['WITHOUT_POWER', 'FAILING_TEMPERATURE']), {
      smClockMhz: 1980,
      memoryClockMhz: 2619,
    });
  });

  test('a library that does not start, or none, gives nothing', () => {
    assert.deepEqual(stateWith('init', ['FAILING_INIT']), {});
    assert.deepEqual(stateWith('none'), {});
  });
});
