/** Files of the Hugging Face hub, by its own library, with the limits that it lacks: time-outs and off-line mode. */
import { datasetInfo, downloadFile, listFiles, modelInfo, pathsInfo } from '@huggingface/hub';
import { WinnowError } from '../core/errors.js';
import type { DownloadSource, PartialFile } from './download.js';
import { hubAddress, offlineVariable } from './models-cache.js';

export interface HubFile {
  readonly repo: string;
  /** A commit hash for anything that must stay the same. */
  readonly revision: string;
  readonly path: string;
}

export interface HubEntry {
  readonly path: string;
  readonly bytes: number;
  /** Known for large files only. */
  readonly sha256?: string;
}

/** An unreachable hub should cost seconds: until an answer begins, and between two pieces of it. */
const answerMs = 10_000;
const stallMs = 30_000;

export const hubSource = (file: HubFile): DownloadSource => ({
  name: `hub ${file.repo}@${file.revision.slice(0, 8)}`,
  async fetch(into) {
    checkOnline();
    const blob = await downloadFile({
      repo: file.repo,
      path: file.path,
      revision: file.revision,
      hubUrl: hubAddress(),
      fetch: timedFetch,
      xet: false,
    });
    if (blob === null) throw new Error(`no file ${file.path} there`);
    await copyStream(blob.stream(), into);
  },
});

/** Passes a body on, as long as pieces of it keep coming. */
export async function copyStream(stream: ReadableStream<Uint8Array>, into: PartialFile): Promise<void> {
  const reader = stream.getReader();
  const cancel = (): void => void reader.cancel().catch(() => undefined);
  try {
    for (;;) {
      const { done, value } = await within(stallMs, 'more bytes', reader.read(), cancel);
      if (done) return;
      into.write(value);
    }
  } finally {
    cancel();
  }
}

/** What the hub says of one file of a data set's repository: the commit that the revision names now, size, and the hash of large files. */
export async function readHubFile(file: HubFile): Promise<HubEntry & { readonly commit: string }> {
  checkOnline();
  const hub = { hubUrl: hubAddress(), fetch: timedFetch };
  const name = file.repo.replace(/^datasets\//, '');
  const info = await datasetInfo({ name, revision: file.revision, additionalFields: ['sha'], ...hub });
  const commit = String(info.sha);
  if (!/^[0-9a-f]{40}$/.test(commit)) throw new Error(`no commit hash but ${commit}`);
  const [entry] = await pathsInfo({ repo: file.repo, paths: [file.path], revision: commit, ...hub });
  if (entry === undefined) throw new Error(`no file ${file.path} there`);
  const sha256 = entry.lfs?.oid.replace(/^sha256:/, '');
  return { path: file.path, bytes: entry.lfs?.size ?? entry.size, commit, ...(sha256 !== undefined && { sha256 }) };
}

/** Folders inside a repository that an encoder's settings stand in (sentence-transformers). */
const settingsFolders = new Set(['1_Pooling']);

/** The commit that a revision names now, and the files of its top folder and of an encoder's settings. Throws: ERR_UNREACHABLE. */
export async function readHubRepository(
  repo: string,
  revision: string,
): Promise<{ readonly commit: string; readonly files: readonly HubEntry[] }> {
  checkOnline();
  const hub = { hubUrl: hubAddress(), fetch: timedFetch };
  const info = await modelInfo({ name: repo, revision, additionalFields: ['sha'], ...hub });
  const commit = String(info.sha);
  if (!/^[0-9a-f]{40}$/.test(commit))
    throw new WinnowError('ERR_UNREACHABLE', `hub ${repo}@${revision}`, 'a commit hash', commit);
  const files: HubEntry[] = [];
  const list = async (path?: string): Promise<void> => {
    for await (const entry of listFiles({ repo, revision: commit, ...(path !== undefined && { path }), ...hub })) {
      if (entry.type === 'directory' && settingsFolders.has(entry.path)) await list(entry.path);
      if (entry.type !== 'file') continue;
      files.push({
        path: entry.path,
        bytes: entry.lfs?.size ?? entry.size,
        ...(entry.lfs !== undefined && { sha256: entry.lfs.oid }),
      });
    }
  };
  await list();
  return { commit, files };
}

export function checkOnline(): void {
  const variable = offlineVariable();
  if (variable !== undefined) throw new Error(`network access is off (${variable})`);
}

export const timedFetch: typeof fetch = async (input, init) => {
  const abort = new AbortController();
  const answer = fetch(input, { ...init, signal: abort.signal });
  return within(answerMs, 'an answer', answer, () => abort.abort());
};

async function within<T>(ms: number, what: string, work: Promise<T>, onTimeout: () => void): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no ${what === 'an answer' ? 'answer' : what} within ${ms / 1_000} s`));
      onTimeout();
    }, ms);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}
