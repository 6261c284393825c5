/**
 * `npm run gpu:bundle -- --out DIR [--with FILE …] [--model ID or FILE …] [--part-mib 48]`: everything that a machine without Node and
 * without a network needs to run Winnow, in checksummed parts.
 *
 * The bundle holds this Node, the project as plain JavaScript in its own tree, the packages it loads, the built addons and what `--with`
 * names (into native/cuda/build). On the other machine: `sh unpack.sh [FOLDER]`, then `FOLDER/winnow …`. No method files outside the tree
 * and no encoders there: they need a TypeScript loader and ONNX Runtime.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { WinnowError } from '../core/errors.js';
import { modelManifest } from '../engine/models.js';
import { packParts } from './gpu-bundle-parts.js';
import { copyPackages, copyProject } from './gpu-bundle-tree.js';
import { findOrPullModel } from './open-model.js';
import { openTerminal } from './terminal.js';

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    with: { type: 'string', multiple: true, default: [] },
    model: { type: 'string', multiple: true, default: [] },
    'part-mib': { type: 'string', default: '48' },
  },
});
const root = fileURLToPath(new URL('..', import.meta.url));
const partBytes = Number(values['part-mib']) * 2 ** 20;
if (values.out === undefined || !(partBytes >= 2 ** 20)) {
  throw new WinnowError('ERR_USAGE', 'gpu:bundle', '--out DIR, and --part-mib of at least 1', process.argv.slice(2));
}

const launcher = `#!/bin/sh
# Winnow from this folder: no installed Node, no network.
here=$(cd "$(dirname "$0")" && pwd)
WINNOW_CACHE=\${WINNOW_CACHE:-$here/cache}
export WINNOW_CACHE
exec "$here/node" "$here/app/scripts/winnow.mjs" "$@"
`;

const folder = mkdtempSync(join(tmpdir(), 'winnow-bundle-'));
const terminal = openTerminal(false);
try {
  const app = join(folder, 'app');
  const files = await copyProject(root, app);
  const packages = copyPackages(root, join(app, 'node_modules'));
  put(join(root, 'native/build/winnow.node'), join(app, 'native/build/winnow.node'));
  for (const file of values.with) put(file, join(app, 'native/cuda/build', basename(file)));
  for (const model of values.model) await putModel(model);
  put(process.execPath, join(folder, 'node'));
  writeFileSync(join(folder, 'winnow'), launcher, { mode: 0o755 });
  writeFileSync(join(app, 'bundle.json'), `${JSON.stringify(codeOf(), undefined, 2)}\n`);
  const parts = packParts(folder, values.out, partBytes);
  const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  process.stdout.write(`${files} files of the project, ${packages} packages\n`);
  for (const { name, bytes } of parts) process.stdout.write(`${name} ${mebibytes(bytes)} MiB\n`);
} finally {
  terminal.close();
  rmSync(folder, { recursive: true, force: true });
}

function put(from: string, to: string): void {
  if (!existsSync(from)) throw new WinnowError('ERR_MISSING', from, 'a built file', 'nothing there', 'Build it first.');
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

/** A model of the manifest goes where the cache has it; a file beside the launcher. */
async function putModel(ref: string): Promise<void> {
  const { path } = await findOrPullModel(ref, terminal);
  const entry = modelManifest.find(({ id }) => id === ref);
  put(path, entry === undefined ? join(folder, basename(path)) : join(folder, 'cache/models', ref, basename(path)));
}

/** Which code it is, for the records of runs that are made without a checkout. */
function codeOf(): { readonly commit: string; readonly dirty: boolean } {
  const git = (...words: string[]): string => execFileSync('git', ['-C', root, ...words], { encoding: 'utf8' }).trim();
  return { commit: git('rev-parse', 'HEAD'), dirty: git('status', '--porcelain') !== '' };
}
