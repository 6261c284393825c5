/** Hugging Face repositories by name: `hf:org/name[@revision]`. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../core/errors.js';
import { writeFileAtomic } from '../core/files.js';
import { describeFailure, download, type OnProgress, onDisk } from './download.js';
import { type HubEntry, hubSource, readHubRepository } from './download-hub.js';
import { cacheFolder } from './models-cache.js';
import { hashModel } from './models-hash.js';

export interface RepositoryModel {
  readonly id: string;
  readonly path: string;
  readonly sha256: string;
}

const reference = /^hf:([\w][\w.-]*\/[\w][\w.-]*)(?:@([\w][\w./-]*))?$/;
/** What the engine reads of a repository, encoders included; everything else stays there. */
const wanted =
  /^(config|generation_config|tokenizer|tokenizer_config|modules|sentence_bert_config|1_Pooling\/config)\.json$|^chat_template\.jinja$|^model[\w.-]*\.safetensors$|^model\.safetensors\.index\.json$/;
/** Written last: its presence means that the folder is complete. */
const completeName = 'complete.json';

/**
 * Downloads the files that the engine reads into a folder named by the commit. A revision that was fetched before is found again
 * without a network. Throws: ERR_USAGE, ERR_MISSING (no safetensors there), ERR_UNREACHABLE, ERR_DISK.
 */
export async function pullRepository(ref: string, onProgress: OnProgress): Promise<RepositoryModel> {
  const [, repo, revision = 'main'] = reference.exec(ref) ?? [];
  if (repo === undefined || revision.includes('..'))
    throw new WinnowError('ERR_USAGE', 'model', 'hf:org/name or hf:org/name@revision', ref);
  const folder = join(cacheFolder(), 'hub', repo.replace('/', '--'));
  const known = knownCommit(folder, revision);
  if (known !== undefined && /^[0-9a-f]{40}$/.test(revision)) return describe(ref, join(folder, known));
  let found: Awaited<ReturnType<typeof readHubRepository>>;
  try {
    found = await readHubRepository(repo, revision);
  } catch (error) {
    if (known !== undefined) return describe(ref, join(folder, known));
    throw new WinnowError(
      'ERR_UNREACHABLE',
      ref,
      'the repository',
      describeFailure(error),
      'Check the name and the network, or give the path of a downloaded directory.',
    );
  }
  const path = join(folder, found.commit);
  if (!existsSync(join(path, completeName)))
    await fetchAll(ref, path, repo, found.commit, chooseFiles(ref, found.files), onProgress);
  onDisk(folder, () => writeFileAtomic(join(folder, refName(revision)), found.commit));
  return describe(ref, path);
}

const describe = async (ref: string, path: string): Promise<RepositoryModel> => ({
  id: ref,
  path,
  sha256: await hashModel(path),
});

/** A branch may hold slashes; a file name may not. */
const refName = (revision: string): string => `ref-${encodeURIComponent(revision)}`;

function knownCommit(folder: string, revision: string): string | undefined {
  let commit = revision;
  if (!/^[0-9a-f]{40}$/.test(revision)) {
    try {
      commit = readFileSync(join(folder, refName(revision)), 'utf8');
    } catch {
      return undefined;
    }
  }
  return /^[0-9a-f]{40}$/.test(commit) && existsSync(join(folder, commit, completeName)) ? commit : undefined;
}

function chooseFiles(ref: string, files: readonly HubEntry[]): HubEntry[] {
  const chosen = files.filter(({ path }) => wanted.test(path));
  const has = (test: RegExp): boolean => chosen.some(({ path }) => test.test(path));
  if (has(/^config\.json$/) && has(/\.safetensors$/) && has(/^tokenizer\.json$/)) return chosen;
  const gguf = files.filter(({ path }) => path.endsWith('.gguf')).map(({ path }) => path);
  const hint =
    gguf.length === 0 ? '' : ` It holds GGUF files (${gguf.slice(0, 5).join(', ')}): download one and give its path.`;
  throw new WinnowError(
    'ERR_MISSING',
    ref,
    'config.json, tokenizer.json and safetensors',
    chosen.map(({ path }) => path).join(', '),
    `Choose another repository.${hint}`,
  );
}

async function fetchAll(
  ref: string,
  path: string,
  repo: string,
  commit: string,
  files: readonly HubEntry[],
  onProgress: OnProgress,
): Promise<void> {
  onDisk(path, () => mkdirSync(path, { recursive: true }));
  for (const file of files) {
    const target = {
      path: join(path, file.path),
      bytes: file.bytes,
      ...(file.sha256 !== undefined && { sha256: file.sha256 }),
    };
    if (!existsSync(target.path))
      await download(target, [hubSource({ repo, revision: commit, path: file.path })], onProgress);
  }
  onDisk(path, () =>
    writeFileAtomic(join(path, completeName), `${JSON.stringify({ ref, commit, files }, undefined, 1)}\n`),
  );
}
