/** A file at an address: the project pages of data sets, and files of GitHub repositories at a commit. */
import type { DownloadSource } from './download.js';
import { checkOnline, copyStream, timedFetch } from './download-hub.js';

export const urlSource = (url: string, name = `${new URL(url).host}`): DownloadSource => ({
  name,
  async fetch(into) {
    checkOnline();
    const answer = await timedFetch(url, { redirect: 'follow' });
    if (!answer.ok || answer.body === null) throw new Error(`answer ${answer.status}`);
    await copyStream(answer.body as ReadableStream<Uint8Array>, into);
  },
});

export interface GithubFile {
  readonly repo: string;
  readonly commit: string;
  readonly path: string;
}

export const githubSource = ({ repo, commit, path }: GithubFile): DownloadSource => {
  const url = `https://raw.githubusercontent.com/${repo}/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`;
  return urlSource(url, `github ${repo}@${commit.slice(0, 8)}`);
};
