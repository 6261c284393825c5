import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, suite, test } from 'node:test';
import { loadAddon } from '../../native/index.js';
import { openEncoder } from './encoder.js';
import {
  type EncoderEntry,
  encoderEntry,
  encoderFolder,
  encoderHash,
  encoderManifest,
  findEncoder,
  pullEncoder,
} from './manifest.js';
import { openEncoderText } from './text.js';
import { writeTinyEncoder } from './tiny-encoder.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-encoders-'));
const inOwnCache = async (body: () => Promise<void>): Promise<void> => {
  const before = process.env.WINNOW_CACHE;
  process.env.WINNOW_CACHE = mkdtempSync(join(root, 'cache-'));
  try {
    await body();
  } finally {
    if (before === undefined) delete process.env.WINNOW_CACHE;
    else process.env.WINNOW_CACHE = before;
  }
};
after(() => rmSync(root, { recursive: true, force: true }));

const contents: Record<string, string> = { 'config.json': '{}', '1_Pooling/config.json': '{"a":1}' };
const tiny: EncoderEntry = {
  id: 'tiny',
  title: 'Tiny',
  licence: 'Apache-2.0',
  homepage: 'https://example.org',
  files: Object.entries(contents).map(([name, text]) => ({
    name,
    bytes: text.length,
    sha256: createHash('sha256').update(text).digest('hex'),
  })),
  sources: [
    { kind: 'hub', repo: 'org/tiny', revision: '0'.repeat(40) },
    { kind: 'wheel', package: 'winnow-tiny', version: '1', folder: 'model' },
  ],
};
const place = (name: string, text: string): void => {
  const path = join(process.env.WINNOW_CACHE!, 'models', 'tiny', name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};

suite('the encoder manifest', () => {
  test('ids are there once, and every encoder has its configuration, tokenizer and weights', () => {
    assert.equal(new Set(encoderManifest.map(({ id }) => id)).size, encoderManifest.length);
    for (const { files } of encoderManifest) {
      const names = files.map(({ name }) => name);
      for (const name of ['config.json', 'tokenizer.json', 'model.safetensors']) assert.ok(names.includes(name), name);
    }
  });

  test('an encoder is found when all its files are there and are the right ones', () =>
    inOwnCache(async () => {
      assert.equal(await findEncoder(tiny), undefined);
      place('config.json', contents['config.json']!);
      assert.equal(await findEncoder(tiny), undefined);
      place('1_Pooling/config.json', '{"a":2}');
      assert.equal(await findEncoder(tiny), undefined);
      place('1_Pooling/config.json', contents['1_Pooling/config.json']!);
      const found = await findEncoder(tiny, true);
      assert.equal(found?.path, join(process.env.WINNOW_CACHE!, 'models', 'tiny'));
      assert.deepEqual(await pullEncoder(tiny, () => assert.fail('nothing is fetched')), found);
    }));

  test('without a network the error lists every attempt, each source asked once', () =>
    inOwnCache(async () => {
      process.env.WINNOW_OFFLINE = '1';
      try {
        await assert.rejects(
          pullEncoder(tiny, () => undefined),
          {
            code: 'ERR_UNREACHABLE',
            message: /config\.json.*hub org\/tiny.*pip winnow-tiny==1.*By hand/,
          },
        );
      } finally {
        delete process.env.WINNOW_OFFLINE;
      }
    }));

  test('a missing encoder names the command that fetches it; a folder is taken as it is', () =>
    inOwnCache(async () => {
      await assert.rejects(encoderFolder('all-minilm-l6-v2'), {
        code: 'ERR_MISSING',
        message: /Run: winnow models pull all-minilm-l6-v2/,
      });
      await assert.rejects(encoderFolder('no-such-encoder'), { code: 'ERR_MISSING', message: /all-minilm-l6-v2/ });
      assert.equal(await encoderFolder(root), root);
    }));

  test('an encoder is identified by its files; notes beside them do not count', async () => {
    assert.match(await encoderHash('all-minilm-l6-v2'), /^[0-9a-f]{64}$/);
    const folder = writeTinyEncoder(join(root, 'identity'), 'bert', { pooling: 'cls' });
    const before = await encoderHash(folder);
    writeFileSync(join(folder, 'README.md'), 'notes');
    assert.equal(await encoderHash(folder), before);
    writeFileSync(join(folder, '1_Pooling', 'config.json'), '{"pooling_mode": "mean"}');
    assert.notEqual(await encoderHash(folder), before);
    await assert.rejects(encoderHash('no-such-encoder'), { code: 'ERR_MISSING' });
  });
});

interface Recorded {
  readonly texts: readonly {
    readonly text: string;
    readonly ids: readonly number[];
    readonly vector: readonly number[];
  }[];
}
const recorded: Recorded = JSON.parse(
  readFileSync(join(import.meta.dirname, 'fixtures', 'all-minilm-l6-v2.json'), 'utf8'),
);
const vectorBound = 1e-4;

test(`all-minilm-l6-v2: vectors within ${vectorBound} of sentence-transformers, as many tokens`, async (context) => {
  const found = await findEncoder(encoderEntry('all-minilm-l6-v2')!);
  if (found === undefined)
    return context.skip('all-minilm-l6-v2 is not in the cache: winnow models pull all-minilm-l6-v2');
  const addon = loadAddon();
  addon.configure('scalar', 'reference', 1);
  const encoder = await openEncoder(found.path, addon, 2);
  try {
    assert.equal(encoder.maxTokens, 256);
    const { value, tokens } = await encoder.embed(
      recorded.texts.map(({ text }) => text),
      'single',
    );
    let most = 0;
    recorded.texts.forEach(({ ids, vector }, i) => {
      assert.equal(tokens[i], ids.length);
      vector.forEach((expected, at) => {
        most = Math.max(most, Math.abs(value[i]![at]! - expected));
      });
    });
    context.diagnostic(`largest difference: ${most.toExponential(2)}`);
    assert.ok(most <= vectorBound, `off by ${most}`);
    const text = openEncoderText(found.path, 256, false);
    for (const { text: one, ids } of recorded.texts.slice(0, -1)) {
      const byWord = text.words(one).flatMap((word) => word.ids);
      assert.deepEqual(byWord, ids.slice(1, -1), 'words one by one have the tokens of the whole');
    }
    const [alone] = (await encoder.embed([recorded.texts[0]!.text], 'single')).value;
    assert.deepEqual(alone, value[0], 'the same bits without company');
  } finally {
    await encoder.close();
  }
});
