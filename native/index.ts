import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { WinnowError } from '../core/errors.js';
import type { Addon } from './addon-types.js';

export type * from './addon-types.js';

/** What the binary exports beyond the contract: the loader hands it the error class once. */
interface LoadedAddon extends Addon {
  useErrorClass(errorClass: typeof WinnowError): void;
}

const binary = path.join(path.dirname(fileURLToPath(import.meta.url)), 'build', 'winnow.node');

let loaded: LoadedAddon | undefined;

/**
 * The native addon of this machine, loaded on first call. Every error it throws is a WinnowError.
 *
 * Throws: ERR_NATIVE_LOAD, with the cause, when the binary is missing or cannot be loaded.
 */
export const loadAddon = (): Addon => {
  if (loaded !== undefined) return loaded;
  const where = `native addon for ${process.platform}-${process.arch}, Node ${process.version}`;
  if (!existsSync(binary)) {
    throw new WinnowError('ERR_NATIVE_LOAD', where, `the file ${binary}`, undefined, 'Run: node native/build.mjs');
  }
  try {
    const candidate = createRequire(import.meta.url)(binary) as LoadedAddon;
    candidate.useErrorClass(WinnowError);
    loaded = candidate;
    return candidate;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new WinnowError(
      'ERR_NATIVE_LOAD',
      where,
      'a binary that loads',
      reason,
      'Rebuild it: node native/build.mjs --force',
    );
  }
};
