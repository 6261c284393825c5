import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { WinnowError } from '../core/errors.js';
import type { Addon } from './addon-types.js';

export type * from './addon-types.js';

/** What the binary exports beyond the contract: the loader hands it the error class once. */
interface LoadedAddon extends Addon {
  /** Absent where a binary says in `noDevice` that it can do nothing here. */
  useErrorClass?(errorClass: typeof WinnowError): void;
}

/** WINNOW_NATIVE_BINARY names another build of the same sources, such as the one with sanitizers. */
export const addonFile =
  process.env.WINNOW_NATIVE_BINARY ?? path.join(path.dirname(fileURLToPath(import.meta.url)), 'build', 'winnow.node');

let loaded: Addon | undefined;

/**
 * Loads one binary and hands it the error class, so that every error it throws is a WinnowError.
 *
 * Throws: ERR_NATIVE_LOAD, with the cause, when the file is missing or cannot be loaded.
 */
export const openAddon = (file: string): Addon => {
  const where = `native addon for ${process.platform}-${process.arch}, Node ${process.version}`;
  if (!existsSync(file)) {
    throw new WinnowError('ERR_NATIVE_LOAD', where, `the file ${file}`, undefined, 'Run: node native/build.mjs');
  }
  try {
    const addon = createRequire(import.meta.url)(file) as LoadedAddon;
    addon.useErrorClass?.(WinnowError);
    return addon;
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

/** The native addon of this machine, loaded on first call. */
export const loadAddon = (): Addon => {
  loaded ??= openAddon(addonFile);
  return loaded;
};
