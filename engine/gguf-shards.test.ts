import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { openCheckpoint } from './checkpoint.js';
import { hashModel } from './models-hash.js';
import { inspectModel } from './models-inspect.js';
import { type TinyModelOptions, writeTinyModel } from './tiny-model.js';
import { loadTokenizer } from './tokenizer.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-shards-'));
after(() => rmSync(root, { recursive: true, force: true }));

let made = 0;
const tiny = (options: Partial<TinyModelOptions> = {}): string => writeTinyModel(join(root, String(made++)), options);
const shard = (path: string, number: number): string => path.replace('-00001-', `-0000${number}-`);

/** Bytes of every tensor by name. */
const bytesOf = (path: string): Map<string, Buffer> => {
  const checkpoint = openCheckpoint(path);
  try {
    return new Map([...checkpoint.tensors].map(([name, tensor]) => [name, Buffer.from(tensor.bytes)]));
  } finally {
    checkpoint.close();
  }
};

suite('a GGUF model in several files', () => {
  test('holds the tensors, configuration and tokenizer of the same model in one file', () => {
    const options = { type: 'Q8_0', ropeScaling: { kind: 'factors', factors: [1, 1, 1, 2, 4, 8, 8, 8] } } as const;
    const [one, three] = [tiny(options), tiny({ ...options, shards: 3 })];
    assert.match(three, /tiny-00001-of-00003\.gguf$/);
    assert.deepEqual(bytesOf(three), bytesOf(one));
    assert.deepEqual(openCheckpoint(three).config, openCheckpoint(one).config);
    assert.deepEqual(
      loadTokenizer(three).encode('the key 42', { specials: 'none' }),
      loadTokenizer(one).encode('the key 42', { specials: 'none' }),
    );
  });

  test('is named by the hashes of all its files and counts their bytes', async () => {
    const path = tiny({ shards: 2 });
    const before = await hashModel(path);
    const { fileBytes } = await inspectModel(path);
    assert.equal(fileBytes, readFileSync(path).length + readFileSync(shard(path, 2)).length);
    const bytes = readFileSync(shard(path, 2));
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(shard(path, 2), bytes);
    assert.notEqual(await hashModel(path, true), before);
  });

  test('a missing file is one error that names it and its number', () => {
    const path = tiny({ shards: 3 });
    rmSync(shard(path, 2));
    assert.throws(() => openCheckpoint(path), {
      code: 'ERR_MISSING',
      message: /tiny-00002-of-00003\.gguf: expected file 2 of 3 of this model, got "nothing there"/,
    });
  });

  test('a later file given instead of the first says which to give', () => {
    const path = tiny({ shards: 2 });
    assert.throws(() => openCheckpoint(shard(path, 2)), {
      code: 'ERR_USAGE',
      message: /the first of 2 files, got "number 2"/,
    });
  });

  test('a renamed first file, swapped files and a tensor that stands twice are refused', () => {
    const renamed = tiny({ shards: 2 });
    renameSync(renamed, join(renamed, '..', 'model.gguf'));
    assert.throws(() => openCheckpoint(join(renamed, '..', 'model.gguf')), {
      code: 'ERR_MODEL_FORMAT',
      message: /-00001-of-00002\.gguf/,
    });

    const swapped = tiny({ shards: 3 });
    copyFileSync(shard(swapped, 3), shard(swapped, 2));
    assert.throws(() => openCheckpoint(swapped), {
      code: 'ERR_MODEL_FORMAT',
      message: /split\.no .*expected 1, got 2/,
    });

    const twice = tiny({ shards: 2 });
    const bytes = readFileSync(shard(twice, 2));
    const names = (file: Buffer): string[] => file.toString('latin1').match(/blk\.\d\.attn_(?:k|v|q)\.weight/g) ?? [];
    // One name of each file, of equal length.
    const [[first], [second]] = [names(readFileSync(twice)), names(bytes)];
    bytes.write(first!, bytes.indexOf(second!));
    writeFileSync(shard(twice, 2), bytes);
    assert.throws(() => openCheckpoint(twice), {
      code: 'ERR_MODEL_FORMAT',
      message: new RegExp(`each tensor in one shard, got "${first}"`),
    });
  });

  test('a count of tensors that the files do not hold is refused', () => {
    const path = tiny({ shards: 2 });
    const bytes = readFileSync(path);
    const key = 'split.tensors.count';
    bytes.writeUInt32LE(99, bytes.indexOf(key) + key.length + 4);
    writeFileSync(path, bytes);
    assert.throws(() => openCheckpoint(path), { code: 'ERR_MODEL_FORMAT', message: /split\.tensors\.count .*got 99/ });
  });
});

suite('a safetensors model in several files', () => {
  for (const type of ['F32', 'F16', 'BF16'] as const) {
    test(`holds the ${type} tensors of the same model in one file`, () => {
      const options = { format: 'safetensors', type } as const;
      assert.deepEqual(bytesOf(tiny({ ...options, shards: 3 })), bytesOf(tiny(options)));
    });
  }

  test('a shard that the index names and that is not there is one error with its path', () => {
    const directory = tiny({ format: 'safetensors', shards: 2 });
    rmSync(join(directory, 'model-00002-of-00002.safetensors'));
    assert.throws(() => openCheckpoint(directory), {
      code: 'ERR_MISSING',
      message: /model-00002-of-00002\.safetensors/,
    });
  });
});
