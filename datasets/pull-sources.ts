/** Fetches one file of a dataset from the first of its sources that has it. */
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { WinnowError } from '../core/errors.js';
import {
  type DownloadSource,
  type DownloadTarget,
  describeFailure,
  download,
  type OnProgress,
  onDisk,
} from '../engine/download.js';
import { hubSource, readHubFile } from '../engine/download-hub.js';
import { githubSource, urlSource } from '../engine/download-url.js';
import type { DatasetFileEntry, DatasetSource } from './contract.js';
import { readZipMember } from './zip-member.js';

/** Of a file whose size nobody knows before it comes. */
const limitBytes = 2 ** 33;

/** Leaves the file at `part` and says where it came from. Throws: ERR_UNREACHABLE with the cause of every source, ERR_DISK, ERR_INTERRUPTED. */
export const fetchFrom = async (
  id: string,
  file: DatasetFileEntry,
  part: string,
  { onProgress }: { readonly onProgress: OnProgress },
): Promise<string> => {
  const failures: string[] = [];
  for (const source of file.sources) {
    try {
      return await fetchOne(file, source, part, onProgress);
    } catch (error) {
      const code = error instanceof WinnowError ? error.code : undefined;
      if (code === 'ERR_DISK' || code === 'ERR_INTERRUPTED' || code === 'ERR_DATASET_FORMAT') throw error;
      failures.push(causeOf(error));
    }
  }
  throw new WinnowError(
    'ERR_UNREACHABLE',
    `dataset ${id}, ${file.name}`,
    `the file from one of ${file.sources.length} sources`,
    `${failures.length} failures`,
    `${failures.join('; ')}. Check the network, or take it from a folder that has it: winnow datasets pull ${id} --from FOLDER`,
  );
};

/** Of a download of one source only its cause: what to do by hand is another thing here. */
const causeOf = (error: unknown): string => {
  const message = error instanceof WinnowError ? error.message : '';
  return / failures"\. (.*)\. By hand:/.exec(message)?.[1] ?? describeFailure(error);
};

const fetchOne = async (
  file: DatasetFileEntry,
  source: DatasetSource,
  part: string,
  onProgress: OnProgress,
): Promise<string> => {
  if (source.kind === 'by-hand')
    throw new Error(`${source.url} has it as ${source.path}: unpack it into a folder and give that with --from`);
  const remote = await resolve(source);
  if (file.zipMember === undefined) {
    const known = {
      ...((file.bytes ?? remote.bytes) ? { bytes: file.bytes ?? remote.bytes! } : { limitBytes }),
      ...((file.sha256 ?? remote.sha256) ? { sha256: file.sha256 ?? remote.sha256! } : {}),
    };
    await download({ path: part, ...known }, [remote.source], onProgress);
    return remote.name;
  }
  // Several files may come out of one archive: it stays beside them until the pull ends.
  const archive = join(
    dirname(part),
    `archive-${basename('path' in source ? source.path : new URL(source.url).pathname)}`,
  );
  const target: DownloadTarget = { path: archive, limitBytes, ...remote.known };
  if (!existsSync(archive)) await download(target, [remote.source], onProgress);
  onDisk(part, () => writeFileSync(`${part}.member`, readZipMember(archive, file.zipMember!)));
  onDisk(part, () => renameSync(`${part}.member`, part));
  return `${remote.name} ${file.zipMember}`;
};

interface Remote {
  readonly source: DownloadSource;
  readonly name: string;
  readonly bytes?: number;
  readonly sha256?: string;
  readonly known: { readonly bytes?: number; readonly sha256?: string };
}

/** The hub says size, hash and the commit that a branch names now; so what is fetched is one commit's. */
const resolve = async (source: Exclude<DatasetSource, { kind: 'by-hand' }>): Promise<Remote> => {
  switch (source.kind) {
    case 'github': {
      const remote = githubSource(source);
      return { source: remote, name: `github ${source.repo}@${source.commit} ${source.path}`, known: {} };
    }
    case 'url':
      return { source: urlSource(source.url), name: source.url, known: {} };
    case 'hub': {
      const repo = `datasets/${source.repo}`;
      const { commit, bytes, sha256 } = await readHubFile({ repo, revision: source.revision, path: source.path });
      const known = { bytes, ...(sha256 !== undefined && { sha256 }) };
      const remote = hubSource({ repo, revision: commit, path: source.path });
      return { source: remote, name: `hub ${repo}@${commit} ${source.path}`, ...known, known };
    }
  }
};
