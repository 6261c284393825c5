/** The CUDA backend with this machine in the place of a GPU, for tests beside the CPU addon. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Addon } from '../../addon-types.js';
import { openCudaAddon } from '../../cuda-addon.js';

/** Where `build.mjs --cuda-host` puts it, which `npm test` runs. */
export const hostBinary = fileURLToPath(new URL('../../build/cuda-host/winnow_cuda_host.node', import.meta.url));

/** Why a test of it cannot run, or false. */
export const hostSkip: string | false = existsSync(hostBinary)
  ? false
  : 'the CUDA backend for the host is not built: node native/build.mjs --cuda-host';

/** Loaded and configured. */
export const openHostBackend = (): Addon => {
  const addon = openCudaAddon(hostBinary);
  addon.configure('scalar', 'native', 1);
  return addon;
};
