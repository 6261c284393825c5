/** Downloads against a server of the test's own: there is no network in tests. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { crc32, deflateRawSync } from 'node:zlib';
import { WinnowError } from '../core/errors.js';
import type { DatasetFileEntry, DatasetSource } from './contract.js';
import { fetchFrom } from './pull-sources.js';

const root = mkdtempSync(path.join(tmpdir(), 'winnow-sources-'));
const lines = Buffer.from('{"a":1}\n'.repeat(4000));
const sha256 = createHash('sha256').update(lines).digest('hex');

/** An archive with deflated members. */
const zipOf = (members: Readonly<Record<string, Buffer>>): Buffer => {
  const [parts, entries]: [Buffer[], Buffer[]] = [[], []];
  let at = 0;
  for (const [name, bytes] of Object.entries(members)) {
    const packed = deflateRawSync(bytes);
    const facts = Buffer.alloc(26);
    facts.writeUInt16LE(8, 4);
    facts.writeUInt32LE(crc32(bytes), 10);
    facts.writeUInt32LE(packed.length, 14);
    facts.writeUInt32LE(bytes.length, 18);
    facts.writeUInt16LE(name.length, 22);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(at, 10);
    entries.push(Buffer.from('504b01021400', 'hex'), facts, place, Buffer.from(name));
    const local = Buffer.concat([Buffer.from('504b0304', 'hex'), facts, Buffer.from(name), packed]);
    parts.push(local);
    at += local.length;
  }
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, directory, end]);
};
const archive = zipOf({ 'data/a.jsonl': lines, 'data/b.jsonl': Buffer.from('{"b":1}\n') });

const asked: string[] = [];
const commit = 'c'.repeat(40);
const answers: Readonly<Record<string, (response: ServerResponse) => unknown>> = {
  '/whole.jsonl': (response) => response.end(lines),
  '/moved.jsonl': (response) => response.writeHead(302, { Location: '/moved-again.jsonl' }).end(),
  '/moved-again.jsonl': (response) => response.writeHead(301, { Location: '/whole.jsonl' }).end(),
  '/endless.jsonl': (response) => response.writeHead(302, { Location: '/endless.jsonl' }).end(),
  '/other.jsonl': (response) => response.end(Buffer.from(lines).fill('{"a":2}\n')),
  '/cut.jsonl': (response) => {
    response.writeHead(200, { 'Content-Length': lines.length });
    response.write(lines.subarray(0, 1000));
    setTimeout(() => response.destroy(), 20);
  },
  '/short.jsonl': (response) => response.end(lines.subarray(0, 800)),
  '/archive.zip': (response) => response.end(archive),
  '/cut.zip': (response) => response.end(archive.subarray(0, archive.length - 30)),
  '/page.zip': (response) => response.end('<!doctype html>'),
  [`/org/repo/${commit}/some%20data/x.jsonl`]: (response) => response.end(lines),
  '/api/datasets/org/set/revision/main': (response) =>
    response.end(JSON.stringify({ id: 'org/set', _id: '1', sha: commit })),
  [`/api/datasets/org/set/paths-info/${commit}`]: (response) =>
    response.end(
      JSON.stringify([
        {
          type: 'file',
          path: 'x.jsonl',
          size: lines.length,
          oid: 'o',
          lfs: { oid: sha256, size: lines.length, pointerSize: 130 },
        },
      ]),
    ),
  [`/datasets/org/set/resolve/${commit}/x.jsonl`]: (response) => {
    response.setHeader('ETag', '"abc"');
    if (response.req.headers.range === undefined) return response.end(lines);
    return response.writeHead(206, { 'Content-Range': `bytes 0-0/${lines.length}` }).end('{');
  },
};
const server = createServer((request, response) => {
  asked.push(request.url!);
  response.setHeader(
    'Content-Type',
    request.url!.startsWith('/api/') ? 'application/json' : 'application/octet-stream',
  );
  const answer = answers[request.url!.split('?')[0]!];
  if (answer === undefined) response.writeHead(404).end('Not found');
  else answer(response);
});
const realFetch = globalThis.fetch;
let address = '';
before(async () => {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  process.env.HF_ENDPOINT = address;
  // The host of GitHub's files is fixed: its requests come here.
  globalThis.fetch = (input, init) =>
    realFetch(typeof input === 'string' ? input.replace('https://raw.githubusercontent.com', address) : input, init);
});
after(() => {
  globalThis.fetch = realFetch;
  delete process.env.HF_ENDPOINT;
  server.closeAllConnections();
  server.close();
  rmSync(root, { recursive: true, force: true });
});

let folders = 0;
const fetching = async (sources: readonly DatasetSource[], more: Partial<DatasetFileEntry> = {}, name = 'x.jsonl') => {
  const folder = path.join(root, String(folders++));
  const file = { name, format: 'jsonl', sources, ...more } as DatasetFileEntry;
  const part = path.join(folder, name);
  try {
    const source = await fetchFrom('some-set', file, part, { onProgress: () => undefined });
    return { source, bytes: readFileSync(part), left: readdirSync(folder) };
  } catch (error) {
    assert.ok(error instanceof WinnowError && !error.message.includes('\n'), String(error));
    assert.ok(!existsSync(part), 'nothing is where the file would be');
    return { error };
  }
};
const url = (file: string): DatasetSource => ({ kind: 'url', url: `${address}/${file}` });

test('a file comes through redirects, from the first source that has it', async () => {
  const { bytes, source, left } = await fetching([url('nowhere.jsonl'), url('moved.jsonl')], {
    sha256,
    bytes: lines.length,
  });
  assert.deepEqual(bytes, lines);
  assert.match(source!, /moved\.jsonl$/);
  assert.deepEqual(left, ['x.jsonl']);
});

test('missing, cut, short, wrong and endlessly moved files are causes in one error, and nothing is left', async () => {
  const files = ['nowhere', 'cut', 'short', 'other', 'endless'].map((name) => url(`${name}.jsonl`));
  const { error } = await fetching(files, { sha256, bytes: lines.length });
  assert.equal(error!.code, 'ERR_UNREACHABLE');
  assert.ok(!error!.message.includes('By hand'), 'told once, for this command');
  assert.match(error!.message, /some-set, x\.jsonl: expected the file from one of 5 sources/);
  for (const cause of [
    /answer 404/,
    /800 of 32000 bytes came/,
    /its sha256 is [0-9a-f]{64}/,
    /redirect/,
    /--from FOLDER/,
  ])
    assert.match(error!.message, cause);
});

test('a file of GitHub is asked for at its commit, its path encoded', async () => {
  const source = { kind: 'github', repo: 'org/repo', commit, path: 'some data/x.jsonl' } as const;
  const { bytes, source: from } = await fetching([source], { sha256 });
  assert.deepEqual(bytes, lines);
  assert.equal(from, `github org/repo@${commit} some data/x.jsonl`);
  assert.equal((await fetching([{ ...source, commit: 'd'.repeat(40) }])).error!.code, 'ERR_UNREACHABLE');
});

test('a branch of the hub is fetched at the commit that it names now, with the hash that the hub says', async () => {
  const { bytes, source } = await fetching([{ kind: 'hub', repo: 'org/set', revision: 'main', path: 'x.jsonl' }]);
  assert.deepEqual(bytes, lines);
  assert.equal(source, `hub datasets/org/set@${commit} x.jsonl`);
});

test('members come out of one archive that is fetched once; cut and foreign archives are refused', async () => {
  const before = asked.length;
  const [first, second] = ['data/a.jsonl', 'data/b.jsonl'];
  assert.deepEqual((await fetching([url('archive.zip')], { zipMember: first! })).bytes, lines);
  assert.equal((await fetching([url('archive.zip')], { zipMember: second! })).bytes!.toString(), '{"b":1}\n');
  assert.equal(asked.length, before + 2);
  const missing = await fetching([url('archive.zip')], { zipMember: 'data/c.jsonl' });
  assert.match(
    missing.error!.message,
    /ERR_DATASET_FORMAT.*a member data\/c\.jsonl, got "data\/a\.jsonl, data\/b\.jsonl"/,
  );
  for (const name of ['cut.zip', 'page.zip'])
    assert.equal((await fetching([url(name)], { zipMember: first! })).error!.code, 'ERR_DATASET_FORMAT');
});

test('what must be unpacked by hand says where it is', async () => {
  const source = { kind: 'by-hand', url: 'https://example.org/all.tar.gz', path: 'all/x.jsonl' } as const;
  assert.match((await fetching([source])).error!.message, /example\.org\/all\.tar\.gz has it as all\/x\.jsonl/);
});
