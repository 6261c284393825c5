/** The CUDA backend with this machine in the place of a GPU, for tests beside the CPU addon. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Benches, openBenches } from '../../../methods/conformance-models.js';
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

/** Benches of the CPU and, where it is built, of this backend, which WINNOW_CUDA_BINARY has to name: `open` of both, and one `close`. */
export const openAllBenches = async (): Promise<Benches> => {
  const all = [await openBenches(), ...(hostSkip === false ? [await openBenches('cuda')] : [])];
  const held = all.flatMap((benches) => ('open' in benches ? [benches] : []));
  return {
    open: held.flatMap((benches) => benches.open),
    close: async () => {
      for (const benches of held) await benches.close();
    },
  };
};
