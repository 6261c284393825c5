import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, freemem, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import type { z } from 'zod';
import type { MachineLoad, machineSchema } from './provenance-schema.js';

export type Machine = z.infer<typeof machineSchema>;

/** Only what changes which kernel runs. */
const flagsOfInterest = [
  'avx2',
  'fma',
  'f16c',
  'avx_vnni',
  'avx512f',
  'avx512bw',
  'avx512vl',
  'avx512_vnni',
  'avx512_bf16',
  'avx512_fp16',
  'amx_tile',
  'amx_bf16',
  'amx_int8',
];

/** A limit of the older control groups that means none. */
const NO_LIMIT_BYTES = 2 ** 60;

/**
 * What decides the speed of this machine, as far as the system tells: never host names, serial numbers or addresses. `root` is where
 * /proc and /sys are; a test has its own.
 */
export const readMachine = (root = '/'): Machine => {
  const read = (path: string): string | undefined => attempt(() => readFileSync(join(root, path), 'utf8').trim());
  const info = read('proc/cpuinfo') ?? '';
  const field = (name: string): string | undefined => new RegExp(`^${name}\\s*:(.*)$`, 'm').exec(info)?.[1]?.trim();
  const whole = (name: string): number | undefined => wholeNumber(field(name));
  const present = new Set(field('flags')?.split(/\s+/) ?? []);
  const places = cpuinfoPlaces(info);
  const swap = /^SwapTotal:\s+(\d+) kB$/m.exec(read('proc/meminfo') ?? '')?.[1];
  const list = (path: string): string[] => attempt(() => readdirSync(join(root, path))) ?? [];
  const numbered = (path: string, prefix: string): string[] =>
    list(path).filter((name) => new RegExp(`^${prefix}\\d+$`).test(name));
  const governors = numbered('sys/devices/system/cpu', 'cpu').flatMap(
    (cpu) => read(`sys/devices/system/cpu/${cpu}/cpufreq/scaling_governor`) ?? [],
  );
  const noTurbo = read('sys/devices/system/cpu/intel_pstate/no_turbo');
  const boost = noTurbo === undefined ? read('sys/devices/system/cpu/cpufreq/boost') : noTurbo === '0' ? '1' : '0';
  const gpus = list('proc/driver/nvidia/gpus').flatMap(
    (gpu) => /^Model:\s*(.+)$/m.exec(read(`proc/driver/nvidia/gpus/${gpu}/information`) ?? '')?.[1] ?? [],
  );
  return withoutAbsent({
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    flags: flagsOfInterest.filter((flag) => present.has(flag)),
    memoryBytes: totalmem(),
    architecture: process.arch,
    cpuFamily: whole('cpu family'),
    cpuModel: whole('model'),
    stepping: whole('stepping'),
    microcode: field('microcode'),
    ...places,
    numaNodes: numbered('sys/devices/system/node', 'node').length || undefined,
    cacheBytes: cacheSizes(read, numbered('sys/devices/system/cpu/cpu0/cache', 'index')),
    governors: governors.length === 0 ? undefined : [...new Set(governors)].sort(),
    turbo: boost === undefined ? undefined : boost === '1',
    transparentHugePages: /\[(\w+)\]/.exec(read('sys/kernel/mm/transparent_hugepage/enabled') ?? '')?.[1],
    virtualised: present.size === 0 ? undefined : present.has('hypervisor'),
    container: containerOf(read, list),
    swapBytes: swap === undefined ? undefined : 1024 * Number(swap),
    gpus: gpus.length === 0 ? undefined : gpus.map((gpu) => gpu.trim()),
    gpuDriver: /Kernel Module.*?\s(\d{3,}(?:\.\d+)+)/.exec(read('proc/driver/nvidia/version') ?? '')?.[1],
  });
};

/** How busy the machine is now. */
export const readLoad = (root = '/'): MachineLoad => {
  const info = attempt(() => readFileSync(join(root, 'proc/meminfo'), 'utf8')) ?? '';
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(info)?.[1];
  return {
    average: Math.round(100 * (loadavg()[0] ?? 0)) / 100,
    availableMemoryBytes: available === undefined ? freemem() : 1024 * Number(available),
  };
};

type Read = (path: string) => string | undefined;

const cpuinfoPlaces = (info: string): Pick<Machine, 'physicalCores' | 'sockets'> => {
  const of = (block: string, name: string): string | undefined =>
    new RegExp(`^${name}\\s*:\\s*(\\d+)$`, 'm').exec(block)?.[1];
  const places = info
    .split('\n\n')
    .map((block) => ({ socket: of(block, 'physical id'), core: of(block, 'core id') }))
    .filter(({ socket, core }) => socket !== undefined && core !== undefined);
  if (places.length === 0) return {};
  return {
    physicalCores: new Set(places.map(({ socket, core }) => `${socket} ${core}`)).size,
    sockets: new Set(places.map(({ socket }) => socket)).size,
  };
};

const cacheSizes = (read: Read, indices: readonly string[]): Machine['cacheBytes'] => {
  const sizes: Record<string, number> = {};
  for (const index of [...indices].sort()) {
    const of = (name: string): string | undefined => read(`sys/devices/system/cpu/cpu0/cache/${index}/${name}`);
    const size = /^(\d+)([KM])$/.exec(of('size') ?? '');
    if (size === null) continue;
    const kind = { Data: 'd', Instruction: 'i' }[of('type') ?? ''] ?? '';
    sizes[`L${of('level')}${kind}`] = Number(size[1]) * (size[2] === 'M' ? 2 ** 20 : 2 ** 10);
  }
  return Object.keys(sizes).length === 0 ? undefined : sizes;
};

/** Limits of the control group count also outside containers: a process sees them as the machine. */
const containerOf = (read: Read, list: (path: string) => string[]): Machine['container'] => {
  const memory = wholeNumber(read('sys/fs/cgroup/memory.max') ?? read('sys/fs/cgroup/memory/memory.limit_in_bytes'));
  const [quota, period] =
    read('sys/fs/cgroup/cpu.max')?.split(' ') ??
    ['cpu.cfs_quota_us', 'cpu.cfs_period_us'].map((name) => read(`sys/fs/cgroup/cpu/${name}`));
  const cpuLimit = Number(quota) / Number(period);
  const named = /\b(docker|kubepods|libpod|lxc|containerd)\b/.exec(read('proc/1/cgroup') ?? '')?.[1];
  const kind =
    named ??
    (list('.').includes('.dockerenv') ? 'docker' : list('run').includes('.containerenv') ? 'podman' : undefined);
  const limits = {
    ...(memory !== undefined && memory < NO_LIMIT_BYTES ? { memoryLimitBytes: memory } : {}),
    ...(cpuLimit > 0 ? { cpuLimit } : {}),
  };
  if (kind === undefined && Object.keys(limits).length === 0) return undefined;
  return { kind: kind ?? 'control group', ...limits };
};

const wholeNumber = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;

const attempt = <T>(read: () => T): T | undefined => {
  try {
    return read();
  } catch {
    return undefined;
  }
};

/** What is not known is no member at all. */
const withoutAbsent = <T extends object>(
  facts: {
    [K in keyof T]: T[K] | undefined;
  },
): { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & Partial<T> =>
  Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as never;
