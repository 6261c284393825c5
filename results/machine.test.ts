import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { readLoad, readMachine } from './machine.js';
import { collectProvenance, steeringVariables } from './provenance.js';
import { codeSchema, machineSchema, softwareSchema } from './provenance-schema.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-machine-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** A machine made of files. */
const machineOf = (name: string, files: Readonly<Record<string, string>>) => {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name, path)), { recursive: true });
    writeFileSync(join(root, name, path), content);
  }
  return readMachine(join(root, name));
};

const processor = (socket: number, core: number): string =>
  `processor : 0\ncpu family\t: 6\nmodel\t\t: 143\nmodel name : X\nstepping\t: 8\nmicrocode\t: 0x2b0001b0\nphysical id\t: ${socket}\ncore id\t\t: ${core}\nflags\t\t: fpu avx2 fma avx512f amx_tile\n`;

test('a machine of two sockets tells processor, caches, governor, limits and devices', () => {
  const cpu = 'sys/devices/system/cpu';
  const found = machineOf('server', {
    'proc/cpuinfo': [processor(0, 0), processor(0, 0), processor(0, 1), processor(1, 0), processor(1, 1)].join('\n'),
    'proc/meminfo': 'MemTotal: 9 kB\nMemAvailable:   2048 kB\nSwapTotal:       1024 kB\n',
    'proc/1/cgroup': '0::/kubepods/burstable/pod1\n',
    'proc/driver/nvidia/version':
      'NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n',
    'proc/driver/nvidia/gpus/0000:01:00.0/information': 'Model: \t\t NVIDIA H100 80GB HBM3\nGPU UUID: \t GPU-secret\n',
    [`${cpu}/cpu0/cpufreq/scaling_governor`]: 'performance\n',
    [`${cpu}/cpu1/cpufreq/scaling_governor`]: 'powersave\n',
    [`${cpu}/intel_pstate/no_turbo`]: '1\n',
    [`${cpu}/cpu0/cache/index0/size`]: '48K\n',
    [`${cpu}/cpu0/cache/index0/type`]: 'Data\n',
    [`${cpu}/cpu0/cache/index0/level`]: '1\n',
    [`${cpu}/cpu0/cache/index3/size`]: '105M\n',
    [`${cpu}/cpu0/cache/index3/type`]: 'Unified\n',
    [`${cpu}/cpu0/cache/index3/level`]: '3\n',
    'sys/devices/system/node/node0/x': '',
    'sys/devices/system/node/node1/x': '',
    'sys/kernel/mm/transparent_hugepage/enabled': 'always [madvise] never\n',
    'sys/fs/cgroup/memory.max': '8589934592\n',
    'sys/fs/cgroup/cpu.max': '150000 100000\n',
  });
  const { cpu: _, cores: __, memoryBytes: ___, architecture: ____, ...facts } = found;
  assert.deepEqual(facts, {
    flags: ['avx2', 'fma', 'avx512f', 'amx_tile'],
    cpuFamily: 6,
    cpuModel: 143,
    stepping: 8,
    microcode: '0x2b0001b0',
    physicalCores: 4,
    sockets: 2,
    numaNodes: 2,
    cacheBytes: { L1d: 48 * 1024, L3: 105 * 2 ** 20 },
    governors: ['performance', 'powersave'],
    turbo: false,
    transparentHugePages: 'madvise',
    virtualised: false,
    container: { kind: 'kubepods', memoryLimitBytes: 2 ** 33, cpuLimit: 1.5 },
    swapBytes: 2 ** 20,
    gpus: ['NVIDIA H100 80GB HBM3'],
    gpuDriver: '550.54.15',
  });
  assert.ok(machineSchema.safeParse(found).success);
  assert.equal(readLoad(join(root, 'server')).availableMemoryBytes, 2 * 2 ** 20);
});

test('limits of the older control groups count, and the value that means none does not', () => {
  const limits = (memory: string, quota: string) =>
    machineOf(`old-${memory}`, {
      'sys/fs/cgroup/memory/memory.limit_in_bytes': memory,
      'sys/fs/cgroup/cpu/cpu.cfs_quota_us': quota,
      'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
    }).container;
  assert.deepEqual(limits('1073741824', '50000'), { kind: 'control group', memoryLimitBytes: 2 ** 30, cpuLimit: 0.5 });
  assert.equal(limits('9223372036854771712', '-1'), undefined);
});

test('a system that tells nothing leaves nothing but what Node knows', () => {
  assert.deepEqual(Object.keys(readMachine(join(root, 'nothing'))).sort(), [
    'architecture',
    'cores',
    'cpu',
    'flags',
    'memoryBytes',
  ]);
});

test('what is collected here is a valid record with the addon and its compiler in it', () => {
  const { code, machine, software } = collectProvenance();
  assert.match(code.addonSha256 ?? '', /^[0-9a-f]{64}$/);
  assert.match(code.compiler ?? '', /GCC|clang/);
  for (const [schema, facts] of [
    [codeSchema, code],
    [machineSchema, machine],
    [softwareSchema, software],
  ] as const)
    assert.deepEqual(schema.parse(facts), facts);
});

test('only short words of listed variables are told: never a path, a secret or another variable', () => {
  assert.deepEqual(
    steeringVariables({
      OMP_NUM_THREADS: '4',
      CUDA_VISIBLE_DEVICES: '0,1',
      LD_PRELOAD: '/somewhere/private.so',
      NODE_OPTIONS: '--require=./hook.js --max-old-space-size=4096',
      LANG: '',
      API_TOKEN: 'secret',
    }),
    { CUDA_VISIBLE_DEVICES: '0,1', LD_PRELOAD: 'set', NODE_OPTIONS: 'set', OMP_NUM_THREADS: '4' },
  );
});
