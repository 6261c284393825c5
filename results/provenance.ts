import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { release, type } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
import { sha256Hex } from '../core/canonical-json.js';
import { addonFile } from '../native/index.js';
import { type Machine, readMachine } from './machine.js';
import type { codeSchema, softwareSchema } from './provenance-schema.js';

/** Who computed: code, machine and software, for the run record. Never host or user names, never the whole environment. */
export interface Provenance {
  readonly code: z.infer<typeof codeSchema>;
  readonly machine: Machine;
  readonly software: z.infer<typeof softwareSchema>;
}

export const projectRoot = fileURLToPath(new URL('..', import.meta.url));

export const collectProvenance = (root = projectRoot): Provenance => ({
  code: codeOf(root),
  machine: readMachine(),
  software: softwareOf(process.env),
});

/** What `npm run gpu:bundle` wrote beside the code, where there is no checkout. */
const bundledCode = (root: string): Pick<Provenance['code'], 'commit' | 'dirty'> =>
  attempt(() => {
    const { commit, dirty } = JSON.parse(readFileSync(join(root, 'bundle.json'), 'utf8'));
    return typeof commit === 'string' && typeof dirty === 'boolean' ? { commit, dirty } : {};
  }) ?? {};

const codeOf = (root: string): Provenance['code'] => {
  const commit = git(root, 'rev-parse', 'HEAD');
  const changes = commit === undefined ? '' : (git(root, 'status', '--porcelain') ?? '');
  const diff = changes === '' ? undefined : git(root, 'diff', 'HEAD', '--binary');
  const origin = publicAddress(git(root, 'remote', 'get-url', 'origin'));
  const lockfile = attempt(() => readFileSync(join(root, 'package-lock.json')));
  const addon = attempt(() => readFileSync(addonFile));
  const compiler = addon === undefined ? undefined : compilerOf(addon);
  return {
    version: (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version,
    ...(commit === undefined ? bundledCode(root) : { commit, dirty: changes !== '' }),
    ...(origin === undefined ? {} : { origin }),
    ...(diff === undefined ? {} : { diffSha256: changesHash(root, changes, diff) }),
    ...(lockfile === undefined ? {} : { lockfileSha256: sha256Hex(lockfile) }),
    ...(addon === undefined ? {} : { addonSha256: sha256Hex(addon) }),
    ...(compiler === undefined ? {} : { compiler }),
  };
};

/** Where the commit can be had; a path, or what stands before the host's name, is nobody's business. */
const publicAddress = (remote: string | undefined): string | undefined => {
  const address =
    /^(?:(?:https?|ssh|git):\/\/)?(?:[^@/\s]+@)?([A-Za-z0-9.-]+\.[A-Za-z]{2,})[:/](?!\d+\/)([\w./~-]+)$/.exec(
      remote ?? '',
    );
  return address === null ? undefined : `${address[1]}/${address[2]}`;
};

/** Untracked files count by name and content: a new source file is a change that `git diff` does not show. */
const changesHash = (root: string, changes: string, diff: string): string => {
  const hash = createHash('sha256').update(diff);
  const untracked = git(root, 'ls-files', '--others', '--exclude-standard', '-z') ?? changes;
  for (const name of untracked
    .split('\0')
    .filter((one) => one !== '')
    .sort())
    hash.update(`\0${name}\0`).update(attempt(() => readFileSync(join(root, name))) ?? '');
  return hash.digest('hex');
};

/** Compilers leave their name and version in what they build. */
const compilerOf = (binary: Buffer): string | undefined => {
  for (const start of ['GCC: (', 'clang version ']) {
    const at = binary.indexOf(start);
    if (at < 0) continue;
    const text = /^[\x20-\x7e]{8,120}/.exec(binary.subarray(at, at + 120).toString('latin1'))?.[0];
    if (text !== undefined) return text.trim();
  }
  return undefined;
};

const softwareOf = (environment: NodeJS.ProcessEnv): Provenance['software'] => {
  const { locale } = Intl.DateTimeFormat().resolvedOptions();
  const distribution = attempt(() => /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]);
  const libc = libcVersion();
  const steering = steeringVariables(environment);
  return {
    node: process.version,
    os: `${type()} ${release()}`,
    ...(distribution === undefined ? {} : { distribution }),
    ...(libc === undefined ? {} : { libc }),
    v8: process.versions.v8,
    locale,
    ...(Object.keys(steering).length === 0 ? {} : { environment: steering }),
  };
};

const libcVersion = (): string | undefined =>
  attempt(() => {
    // Without this a report asks every network interface for its name.
    const report = process.report as NodeJS.ProcessReport & { excludeNetwork?: boolean };
    report.excludeNetwork = true;
    const { header } = report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
    return header.glibcVersionRuntime === undefined ? undefined : `glibc ${header.glibcVersionRuntime}`;
  });

/** Variables that steer threads, devices, allocation and spelling. */
const steering = [
  'CUDA_VISIBLE_DEVICES',
  'GLIBC_TUNABLES',
  'LANG',
  'LC_ALL',
  'LD_PRELOAD',
  'MALLOC_ARENA_MAX',
  'MKL_NUM_THREADS',
  'NODE_OPTIONS',
  'OMP_NUM_THREADS',
  'OPENBLAS_NUM_THREADS',
  'UV_THREADPOOL_SIZE',
  'WINNOW_NATIVE_BINARY',
];

/** A value that is more than a short word may hold a path or a secret: then only that it is set is told. */
export const steeringVariables = (environment: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(
    steering.flatMap((name) => {
      const value = environment[name];
      if (value === undefined || value === '') return [];
      return [[name, /^[A-Za-z0-9_.,:=@-]{1,48}$/.test(value) ? value : 'set']];
    }),
  );

const git = (root: string, ...args: string[]): string | undefined =>
  attempt(() =>
    execFileSync('git', ['-C', root, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 10_000,
      maxBuffer: 2 ** 28,
    }).trim(),
  );

const attempt = <T>(read: () => T): T | undefined => {
  try {
    return read();
  } catch {
    return undefined;
  }
};
