import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { hostBinary, hostSkip } from '../native/cuda/test/host-backend.js';
import { openCudaAddon } from '../native/cuda-addon.js';
import { loadAddon } from '../native/index.js';
import { openBackend } from './backend.js';
import type { OpenOptions } from './contract.js';

const folder = mkdtempSync(join(tmpdir(), 'winnow-backend-'));
after(() => rmSync(folder, { recursive: true }));

const open = (options: Partial<OpenOptions>) =>
  openBackend(
    { backend: 'cuda', numerics: 'native', isa: 'auto', threads: 1, prefillChunk: 64, ...options },
    (addon) => addon,
  );

test('the cuda backend has neither instruction sets nor reference numerics, and says who has', () => {
  process.env.WINNOW_CUDA_BINARY = join(folder, 'never-opened.node');
  assert.throws(() => open({ isa: 'avx2' }), { code: 'ERR_UNSUPPORTED', message: /isa.*avx2.*Drop --isa/ });
  assert.throws(() => open({ numerics: 'reference' }), { code: 'ERR_UNSUPPORTED', message: /--backend cpu/ });
});

test('without a build, without a driver and with a file that does not load, one line says what to do', () => {
  const missing = join(folder, 'missing.node');
  assert.throws(() => openCudaAddon(missing), {
    code: 'ERR_UNSUPPORTED',
    message: /missing\.node.*docs\/gpu\.md.*--backend cpu/,
  });
  // What the addon exports where CUDA finds no driver.
  const driverless = join(folder, 'driverless.cjs');
  writeFileSync(driverless, "exports.noDevice = 'cudaErrorInsufficientDriver';");
  assert.throws(() => openCudaAddon(driverless), {
    code: 'ERR_UNSUPPORTED',
    message: /an NVIDIA driver.*cudaErrorInsufficientDriver.*--backend cpu/,
  });
  const broken = join(folder, 'broken.node');
  writeFileSync(broken, 'no binary');
  assert.throws(() => openCudaAddon(broken), { code: 'ERR_NATIVE_LOAD' });
});

test('an instruction set that this machine lacks is refused with those that it has', (context) => {
  const { isas } = loadAddon().cpuFacts();
  const lacking = (['amx', 'avx512bf16', 'avx512', 'avx2'] as const).find((isa) => !isas.includes(isa));
  if (lacking === undefined) return context.skip('this machine has every one');
  assert.throws(() => open({ backend: 'cpu', isa: lacking }), { code: 'ERR_UNSUPPORTED', message: /--isa auto/ });
});

describe('the backend of the host build', { skip: hostSkip }, () => {
  test('names its device, and encoders stay on the host', () => {
    process.env.WINNOW_CUDA_BINARY = hostBinary;
    const { addon, host, machine } = open({});
    assert.deepEqual([machine.isa, machine.activations, machine.threads], ['host', 'bf16', 1]);
    assert.match(machine.device!.name, /host stand-in/);
    assert.equal(host, loadAddon());
    assert.notEqual(addon, host);
  });
});
