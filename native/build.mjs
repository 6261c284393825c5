// Builds native/build/winnow.node with the machine's own compiler. Run by `npm ci`, by hand, or by the loader's advice.
// --force builds even where nothing changed; --sanitize builds native/build/sanitize/winnow.node with sanitizers;
// --cuda-host builds native/build/cuda-host/winnow_cuda_host.node, the CUDA backend with this machine in the place of a GPU.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const sanitize = process.argv.includes('--sanitize');
const cudaHost = process.argv.includes('--cuda-host');
const build = path.join(here, 'build', cudaHost ? 'cuda-host' : sanitize ? 'sanitize' : '');
const output = path.join(build, cudaHost ? 'winnow_cuda_host.node' : 'winnow.node');
const source = cudaHost ? path.join(here, 'cuda', 'host') : here;
// CMake's own files: some are named *.ts, so they live in a hidden folder that the TypeScript compiler passes over.
const tree = path.join(build, '.cmake');

/** One message, one exit code: what is missing and how to get it on the common systems. */
const fail = (expected, actual, fix) => {
  process.stderr.write(`[ERR_NATIVE_BUILD] native/build.mjs: expected ${expected}, got ${actual}. ${fix}\n`);
  process.exit(3);
};

const INSTALL =
  'Install a C++20 compiler and CMake 3.16 or newer: Debian/Ubuntu `apt-get install g++ cmake make`, ' +
  'Fedora `dnf install gcc-c++ cmake make`, macOS `xcode-select --install` and `brew install cmake`; ' +
  'then run `node native/build.mjs` again.';

const has = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

/** Folder of a header package in node_modules. */
const includeOf = (name, sub) => {
  try {
    return path.join(path.dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), sub);
  } catch {
    return fail(`the package ${name}`, 'nothing in node_modules', 'Run `npm ci` first.');
  }
};

const newest = (folder) => {
  let latest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) latest = Math.max(latest, newest(full));
    else latest = Math.max(latest, statSync(full).mtimeMs);
  }
  return latest;
};

/** True when every source is older than the binary: then not even CMake is started. */
const upToDate = () => {
  if (!existsSync(output)) return false;
  const names = cudaHost
    ? ['kernels', 'binding', ...['engine', 'binding', 'kernels', 'include', 'host'].map((name) => `cuda/${name}`)]
    : ['kernels', 'binding', 'test', 'bench'];
  const folders = names.map((name) => path.join(here, name)).filter(existsSync);
  const sources = Math.max(statSync(path.join(source, 'CMakeLists.txt')).mtimeMs, ...folders.map(newest));
  return statSync(output).mtimeMs >= sources;
};

/** Runs quietly; on failure shows the first compiler errors, not pages of them. */
const run = (command, args) => {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (result.status === 0) return;
  const text = `${result.stdout ?? ''}\n${result.stderr ?? ''}`;
  const lines = text.split('\n').filter((line) => /error|fatal|CMake Error|not found|No such/i.test(line));
  const detail = lines.slice(0, 5).join(' | ') || text.trim().split('\n').slice(-5).join(' | ');
  fail('the native addon to compile', `a failure of \`${command} ${args[0]}\`: ${detail}`, INSTALL);
};

const cmakeBuild = (include) => {
  run('cmake', [
    '-S',
    source,
    '-B',
    tree,
    '-DCMAKE_BUILD_TYPE=Release',
    `-DWINNOW_INCLUDE=${include}`,
    `-DWINNOW_OUTPUT=${build}`,
    `-DWINNOW_SANITIZE=${sanitize ? 'ON' : 'OFF'}`,
  ]);
  run('cmake', ['--build', tree, '--config', 'Release', '--parallel', '2']);
};

if (process.argv.includes('--force') || !upToDate()) {
  if (!has('cmake')) fail('CMake', 'nothing on the path', INSTALL);
  if (process.env.CXX === undefined && !['c++', 'g++', 'clang++'].some(has)) {
    fail('a C++20 compiler', 'none of c++, g++, clang++ on the path', INSTALL);
  }
  const started = new Date();
  mkdirSync(tree, { recursive: true });
  cmakeBuild([includeOf('node-api-headers', 'include'), includeOf('node-addon-api', '.')].join(';'));
  if (!existsSync(output)) fail(`the file ${output}`, 'nothing after a build without errors', INSTALL);
  // A source saved while the compiler ran must count as newer.
  utimesSync(output, started, started);
}
