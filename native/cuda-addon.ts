import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { WinnowError } from '../core/errors.js';
import type { Addon } from './addon-types.js';
import { openAddon } from './index.js';

/** WINNOW_CUDA_BINARY names another build, such as the one that runs on the host. */
const binary =
  process.env.WINNOW_CUDA_BINARY ??
  path.join(path.dirname(fileURLToPath(import.meta.url)), 'cuda', 'build', 'winnow_cuda.node');

let loaded: Addon | undefined;

/**
 * The cuda backend, loaded on first call.
 *
 * Throws: ERR_UNSUPPORTED when it was not built or finds no driver, ERR_NATIVE_LOAD when the file cannot be loaded.
 */
export const loadCudaAddon = (): Addon => {
  if (loaded === undefined && !existsSync(binary)) {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      'backend cuda',
      `the file ${binary}`,
      'nothing there',
      'Build it as docs/gpu.md says, or use --backend cpu.',
    );
  }
  loaded ??= openAddon(binary);
  return loaded;
};
