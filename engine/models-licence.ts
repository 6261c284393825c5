/** Licences that a person must have accepted before a model or a dataset is fetched or used. What was accepted is remembered in the cache folder. */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { WinnowError } from '../core/errors.js';
import { writeFileAtomic } from '../core/files.js';
import { readJson } from './checkpoint.js';
import { onDisk } from './download.js';
import { cacheFolder } from './models-cache.js';

export interface Terms {
  /** What `--accept-licence` takes. */
  readonly id: string;
  readonly name: string;
  readonly url: string;
}

const recordPath = (): string => join(cacheFolder(), 'accepted-licences.json');

export function acceptedLicences(): ReadonlySet<string> {
  const path = recordPath();
  if (!existsSync(path)) return new Set();
  const ids = readJson(path);
  return new Set(Array.isArray(ids) ? ids.filter((id): id is string => typeof id === 'string') : []);
}

/** Throws: ERR_USAGE for an id that nothing of these asks for, ERR_DISK. */
export function acceptLicences(ids: readonly string[], known: readonly Terms[]): void {
  if (ids.length === 0) return;
  for (const id of ids) {
    if (known.some((terms) => terms.id === id)) continue;
    const names = [...new Set(known.map((terms) => terms.id))].join(', ');
    const expected = names === '' ? 'no licence: none of these has to be accepted' : `one of ${names}`;
    throw new WinnowError('ERR_USAGE', '--accept-licence', expected, id);
  }
  const path = recordPath();
  const all = [...new Set([...acceptedLicences(), ...ids])].sort();
  onDisk(path, () => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileAtomic(path, `${JSON.stringify(all)}\n`);
  });
}

/** Throws: ERR_USAGE that names the licence, where to read it, and the flag. */
export function requireAccepted(kind: 'model' | 'dataset', id: string, terms: Terms | undefined): void {
  if (terms === undefined || acceptedLicences().has(terms.id)) return;
  throw new WinnowError(
    'ERR_USAGE',
    `${kind} ${id}`,
    `its licence to be accepted: ${terms.name} (${terms.url})`,
    'no acceptance',
    `Read it, then run: winnow ${kind}s pull ${id} --accept-licence ${terms.id}`,
  );
}
