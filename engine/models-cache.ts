/** Where downloaded models live, and the two environment variables that a user may set about it. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `WINNOW_CACHE`, else `~/.cache/winnow` (or `XDG_CACHE_HOME`). */
export const cacheFolder = (): string => {
  const { WINNOW_CACHE: own, XDG_CACHE_HOME: xdg } = process.env;
  if (own !== undefined && own !== '') return own;
  return join(xdg !== undefined && xdg !== '' ? xdg : join(homedir(), '.cache'), 'winnow');
};

/** The name of the variable that forbids network access, or undefined when it is allowed. */
export const offlineVariable = (): string | undefined =>
  ['WINNOW_OFFLINE', 'HF_HUB_OFFLINE'].find((name) =>
    ['1', 'true', 'yes', 'on'].includes((process.env[name] ?? '').toLowerCase()),
  );

/** Base address of the hub; `HF_ENDPOINT` is what all its clients honour. */
export const hubAddress = (): string => (process.env.HF_ENDPOINT ?? 'https://huggingface.co').replace(/\/+$/, '');
