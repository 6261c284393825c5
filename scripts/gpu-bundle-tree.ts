/** The project as plain JavaScript in its own tree, and the packages that it loads. */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { transform } from 'esbuild';

/** Data that the code reads where it stands. */
const dataFile =
  /^(package(-lock)?\.json|engine\/[^/]+\.json|datasets\/manifest\/|suites\/[^/]+\.yaml$|native\/cuda\/(window\.sh|compare\.mjs|bench\/sdpa\.py)$)/;
const isShipped = (path: string): boolean =>
  path.endsWith('.ts') &&
  !path.endsWith('.test.ts') &&
  !path.includes('/fixtures/') &&
  !/^scripts\/(peers|gpu-bundle|test|fuzz)/.test(path);

/** Entries that load TypeScript in a checkout load the files beside them here. */
const plainEntries: Readonly<Record<string, string>> = {
  'datasets/parquet-child.mjs': "await import('./parquet-child.js');\n",
  'engine/worker.mjs': "await import('./worker.js');\n",
  'scripts/winnow.mjs': `const { main } = await import('./main.js');
process.exit(await main(process.argv.slice(2)));
`,
};

/** Writes tracked sources to `to`, each file as it is but for its types; returns how many. */
export const copyProject = async (root: string, to: string): Promise<number> => {
  const listed = execFileSync('git', ['-C', root, 'ls-files', '-co', '--exclude-standard'], { encoding: 'utf8' });
  let count = 0;
  const write = (path: string, text: string | Uint8Array): void => {
    const file = join(to, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    count++;
  };
  for (const path of listed.split('\n').filter((line) => line !== '')) {
    if (dataFile.test(path)) {
      write(path, readFileSync(join(root, path)));
      chmodSync(join(to, path), statSync(join(root, path)).mode & 0o777);
    } else if (isShipped(path)) {
      const source = readFileSync(join(root, path), 'utf8');
      const { code } = await transform(source, { loader: 'ts', format: 'esm', target: 'esnext', sourcefile: path });
      write(path.replace(/\.ts$/, '.js'), code);
    }
  }
  for (const [path, text] of Object.entries(plainEntries)) write(path, text);
  return count;
};

/** Of no use without a compiler, or larger than all else together. */
const leftOut = new Set(['tsx', 'esbuild', 'onnxruntime-node', 'node-addon-api', 'node-api-headers']);
const uselessFile = /\.(map|md|markdown|d\.[cm]?ts|tsbuildinfo)$/;

/** Copies the packages that the project depends on, and theirs; returns how many. */
export const copyPackages = (root: string, to: string): number => {
  const seen = new Set<string>();
  const queue = Object.keys(manifestOf(root).dependencies ?? {}).map((name) => ({ name, from: root }));
  for (const { name, from } of queue) {
    if (leftOut.has(name)) continue;
    const folder = packageFolder(root, name, from);
    if (folder === undefined || seen.has(folder)) continue;
    seen.add(folder);
    const within = folder.slice(join(root, 'node_modules').length + 1);
    cpSync(folder, join(to, within), {
      recursive: true,
      dereference: true,
      filter: (file) => !uselessFile.test(file) && !file.slice(folder.length).includes('/node_modules'),
    });
    const { dependencies = {}, optionalDependencies = {}, peerDependencies = {} } = manifestOf(folder);
    for (const next of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }))
      queue.push({ name: next, from: folder });
  }
  return seen.size;
};

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

const manifestOf = (folder: string): Manifest => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

/** Where Node would find a package from a folder; undefined for one that this platform does not have. */
const packageFolder = (root: string, name: string, from: string): string | undefined => {
  for (let folder = from; folder.startsWith(root) || folder === root.replace(/\/$/, ''); folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name);
    if (existsSync(join(found, 'package.json'))) return found;
  }
  return undefined;
};
