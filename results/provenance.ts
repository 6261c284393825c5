import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
import { sha256Hex } from '../core/canonical-json.js';
import type { codeSchema, machineSchema, softwareSchema } from './schema.js';

/** Who computed: code, machine and software, for the run record. Never the environment, host or user names. */
export interface Provenance {
  readonly code: z.infer<typeof codeSchema>;
  readonly machine: z.infer<typeof machineSchema>;
  readonly software: z.infer<typeof softwareSchema>;
}

export const projectRoot = fileURLToPath(new URL('..', import.meta.url));

export const collectProvenance = (root = projectRoot): Provenance => {
  const commit = git(root, 'rev-parse', 'HEAD');
  const lockfile = attempt(() => readFileSync(join(root, 'package-lock.json')));
  return {
    code: {
      version: (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version,
      ...(commit === undefined ? {} : { commit, dirty: git(root, 'status', '--porcelain') !== '' }),
      ...(lockfile === undefined ? {} : { lockfileSha256: sha256Hex(lockfile) }),
    },
    machine: {
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      cores: availableParallelism(),
      flags: cpuFlags(),
      memoryBytes: totalmem(),
    },
    software: { node: process.version, os: `${type()} ${release()}` },
  };
};

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

const cpuFlags = (): string[] => {
  const facts = attempt(() => readFileSync('/proc/cpuinfo', 'utf8')) ?? '';
  const present = new Set(/^flags\s*:(.*)$/m.exec(facts)?.[1]?.trim().split(/\s+/) ?? []);
  return flagsOfInterest.filter((flag) => present.has(flag));
};

const git = (root: string, ...args: string[]): string | undefined =>
  attempt(() =>
    execFileSync('git', ['-C', root, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 10_000,
    }).trim(),
  );

const attempt = <T>(read: () => T): T | undefined => {
  try {
    return read();
  } catch {
    return undefined;
  }
};
