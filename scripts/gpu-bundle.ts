/**
 * `npm run gpu:bundle -- --out DIR [--with FILE …] [--model ID or FILE …] [--part-mib 48] [--project-only]`: everything that a machine without Node and
 * without a network needs to run Winnow, in checksummed parts.
 *
 * `runtime` holds this Node and the packages that are loaded; `project` the project as plain JavaScript in its own tree, the built addons
 * and what `--with` names (into native/cuda/build); `models` the models. `--project-only` leaves the other two as they are in DIR. On the other machine: `sh unpack.sh [FOLDER]`, then `FOLDER/winnow …`. No method files outside the tree
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
    'project-only': { type: 'boolean', default: false },
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

const out = values.out;
const terminal = openTerminal(false);
await pack('project', async (folder) => {
  const app = join(folder, 'app');
  await copyProject(root, app);
  put(join(root, 'native/build/winnow.node'), join(app, 'native/build/winnow.node'));
  for (const file of values.with) put(file, join(app, 'native/cuda/build', basename(file)));
  writeFileSync(join(app, 'bundle.json'), `${JSON.stringify(codeOf(), undefined, 2)}\n`);
  writeFileSync(join(folder, 'winnow'), launcher, { mode: 0o755 });
});
if (!values['project-only']) {
  await pack('runtime', async (folder) => {
    put(process.execPath, join(folder, 'node'));
    copyPackages(root, join(folder, 'app/node_modules'));
  });
  if (values.model.length > 0)
    await pack('models', async (folder) => {
      for (const model of values.model) await putModel(model, folder);
    });
}
terminal.close();

async function pack(name: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-bundle-'));
  try {
    await fill(folder);
    for (const part of packParts(folder, out, name, partBytes))
      process.stdout.write(`${part.name} ${(part.bytes / 2 ** 20).toFixed(1)} MiB\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function put(from: string, to: string): void {
  if (!existsSync(from)) throw new WinnowError('ERR_MISSING', from, 'a built file', 'nothing there', 'Build it first.');
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

/** A model of the manifest goes where the cache has it; a file beside the launcher. */
async function putModel(ref: string, folder: string): Promise<void> {
  const { path } = await findOrPullModel(ref, terminal);
  const entry = modelManifest.find(({ id }) => id === ref);
  put(path, entry === undefined ? join(folder, basename(path)) : join(folder, 'cache/models', ref, basename(path)));
}

/** Which code it is, for the records of runs that are made without a checkout. */
function codeOf(): { readonly commit: string; readonly dirty: boolean } {
  const git = (...words: string[]): string => execFileSync('git', ['-C', root, ...words], { encoding: 'utf8' }).trim();
  return { commit: git('rev-parse', 'HEAD'), dirty: git('status', '--porcelain') !== '' };
}
