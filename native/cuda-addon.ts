import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { WinnowError } from '../core/errors.js';
import type { Addon } from './addon-types.js';
import { openAddon } from './index.js';

/** WINNOW_CUDA_BINARY names another build, such as the host build that tests use. */
const binary = (): string =>
  process.env.WINNOW_CUDA_BINARY ??
  path.join(path.dirname(fileURLToPath(import.meta.url)), 'cuda', 'build', 'winnow_cuda.node');

let loaded: Addon | undefined;

/**
 * The CUDA backend as an addon of the same contract, on GPU 0.
 *
 * Throws: ERR_UNSUPPORTED when it was not built or finds no driver or device, ERR_NATIVE_LOAD when the file cannot be loaded.
 */
export const openCudaAddon = (file: string): Addon => {
  if (!existsSync(file)) {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      'backend cuda',
      `the file ${file}`,
      'nothing there',
      'Build it as docs/gpu.md says, or use --backend cpu.',
    );
  }
  const addon = openAddon(file) as Addon & { readonly noDevice?: string };
  if (addon.noDevice === undefined) return addon;
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    'backend cuda',
    'an NVIDIA driver and a GPU of compute capability 8.0 or newer',
    addon.noDevice,
    'Use --backend cpu, or install the driver.',
  );
};

/** `openCudaAddon` of this checkout's build, once. */
export const loadCudaAddon = (): Addon => {
  loaded ??= openCudaAddon(binary());
  return loaded;
};
