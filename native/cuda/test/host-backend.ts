/** The CUDA backend with this machine in the place of a GPU, for tests beside the CPU addon. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Addon } from '../../addon-types.js';
import { openCudaAddon } from '../../cuda-addon.js';

const native = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Where `build.mjs --cuda-host` puts it. */
export const hostBinary = path.join(native, 'build', 'cuda-host', 'winnow_cuda_host.node');

/** Builds it where its sources changed. Throws with the compiler's words when that fails. */
export const buildHostBackend = (): void => {
  const built = spawnSync(process.execPath, [path.join(native, 'build.mjs'), '--cuda-host'], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(built.stderr);
};

/** Built, loaded and configured. */
export const openHostBackend = (): Addon => {
  buildHostBackend();
  const addon = openCudaAddon(hostBinary);
  addon.configure('scalar', 'native', 1);
  return addon;
};
