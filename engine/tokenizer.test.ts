import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { createRandom } from '../core/random.js';
import { defaultModelId, findModel } from './models.js';
import { writeTinyModel } from './tiny-model.js';
import { type FileValue, ggufBytes } from './tiny-model-files.js';
import { loadTokenizer, type Tokenizer } from './tokenizer.js';

interface Case {
  readonly text: string;
  readonly ids: readonly number[];
  readonly decoded: string;
}
const fixture = (name: string): string => join(import.meta.dirname, 'fixtures', name);
const cases: Readonly<Record<'smollm' | 'llama-bpe' | 'llama', readonly Case[]>> = JSON.parse(
  readFileSync(fixture('tokenizer-cases.json'), 'utf8'),
);

const root = mkdtempSync(join(tmpdir(), 'winnow-tokenizer-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** A tokenizer.json of the fixtures in a directory of its own. */
function directoryOf(name: string): string {
  const directory = mkdtempSync(join(root, 'directory-'));
  copyFileSync(fixture(`tokenizer-${name}.json`), join(directory, 'tokenizer.json'));
  return directory;
}

/** The same tokenizer as GGUF metadata. */
function ggufOf(name: 'llama-bpe' | 'llama'): string {
  const { model, added_tokens: added } = JSON.parse(readFileSync(fixture(`tokenizer-${name}.json`), 'utf8'));
  const tokens = Object.entries(model.vocab as Record<string, number>)
    .sort(([, a], [, b]) => a - b)
    .map(([token]) => token);
  const specials = new Set(added.map(({ content }: { content: string }) => content));
  const typeOf = (token: string): number => (specials.has(token) ? 3 : /^<0x..>$/.test(token) ? 6 : 1);
  const own: Record<string, FileValue> =
    name === 'llama'
      ? { 'tokenizer.ggml.scores': { f32s: tokens.map((_, id) => -id) }, 'tokenizer.ggml.unknown_token_id': { u32: 0 } }
      : {
          'tokenizer.ggml.pre': { text: name },
          'tokenizer.ggml.merges': { texts: model.merges.map((merge: string[]) => merge.join(' ')) },
        };
  const path = join(root, `${name}.gguf`);
  writeFileSync(
    path,
    ggufBytes(
      {
        'tokenizer.ggml.model': { text: name === 'llama' ? 'llama' : 'gpt2' },
        'tokenizer.ggml.tokens': { texts: tokens },
        'tokenizer.ggml.token_type': { i32s: tokens.map(typeOf) },
        'tokenizer.ggml.eos_token_id': { u32: 2 },
        ...own,
      },
      [],
    ),
  );
  return path;
}

function matchesAll(tokenizer: Tokenizer, expected: readonly Case[]): void {
  for (const { text, ids, decoded } of expected) {
    assert.deepEqual([...tokenizer.encode(text, { specials: 'parse' })], ids, JSON.stringify(text));
    assert.equal(tokenizer.decode(ids), decoded, JSON.stringify(text));
  }
}

/** SentencePiece writes spaces as marks and decoding may take one away in front. */
const spaceless = (text: string): string => text.replaceAll('▁', ' ').replace(/^ /, '');

/** Offsets cover the text in order, and each token's characters encode to text that contains what the token says. */
function checkOffsets(tokenizer: Tokenizer, text: string): void {
  const { ids, starts, ends } = tokenizer.encodeWithOffsets(text, { specials: 'parse' });
  let covered = 0;
  for (let index = 0; index < ids.length; index++) {
    const [start, end] = [starts[index]!, ends[index]!];
    assert.ok(
      start >= 0 && start <= end && end <= text.length,
      `${JSON.stringify(text)} token ${index}: ${start}..${end}`,
    );
    assert.ok(
      start >= (starts[index - 1] ?? 0) && end >= (ends[index - 1] ?? 0),
      `${JSON.stringify(text)} token ${index} runs backwards`,
    );
    const said = tokenizer.decode([ids[index]!]);
    // A token that is a part of a character decodes to U+FFFD; a whole one must be found where it is said to be.
    if (!said.includes('\ufffd'))
      assert.equal(spaceless(text.slice(start, end)), spaceless(said), `${JSON.stringify(text)} token ${index}`);
    covered = Math.max(covered, end);
  }
  // A character whose bytes the vocabulary lacks is dropped; texts without such must be covered to the end.
  if (tokenizer.decode(ids) === text) assert.equal(covered, text.length, JSON.stringify(text));
  assert.equal(covered, text.length, JSON.stringify(text));
}

suite('token ids are those of the Rust tokenizers', () => {
  for (const name of ['llama-bpe', 'llama'] as const) {
    test(`${name} from tokenizer.json`, () => matchesAll(loadTokenizer(directoryOf(name)), cases[name]));
    test(`${name} from GGUF metadata`, () => matchesAll(loadTokenizer(ggufOf(name)), cases[name]));
    test(`${name}: every token has its exact characters`, () => {
      const tokenizer = loadTokenizer(ggufOf(name));
      for (const { text } of cases[name]) checkOffsets(tokenizer, text);
    });
  }

  suite('default model', () => {
    let path: string | undefined;
    before(async () => {
      path = (await findModel(defaultModelId))?.path;
    });
    const withModel = (name: string, body: (tokenizer: Tokenizer) => void): void =>
      void test(name, (context) =>
        path === undefined
          ? context.skip(`${defaultModelId} is not in the cache: winnow models pull ${defaultModelId}`)
          : body(loadTokenizer(path)),
      );

    withModel('smollm from GGUF metadata', (tokenizer) => matchesAll(tokenizer, cases.smollm));
    withModel('every token has its exact characters', (tokenizer) => {
      for (const { text } of cases.smollm) checkOffsets(tokenizer, text);
    });
    withModel('a turn ends with <|im_end|>, a text with <|endoftext|>', (tokenizer) => {
      assert.deepEqual(tokenizer.stopIds, [0, 2]);
      assert.equal(tokenizer.decode(tokenizer.stopIds), '<|endoftext|><|im_end|>');
    });
    withModel('128K tokens take less than ten times as long as 16K', (tokenizer) => {
      const random = createRandom('tokenizer-speed');
      const words = Array.from({ length: 60_000 }, () => random.integer(0, 36 ** 5).toString(36)).join(' ');
      const time = (text: string): number => {
        const start = performance.now();
        assert.ok(tokenizer.encode(text, { specials: 'parse' }).length > text.length / 8);
        return performance.now() - start;
      };
      time(words.slice(0, 20_000));
      const short = Math.min(time(words.slice(0, 40_000)), time(words.slice(40_000, 80_000)));
      // A quadratic encoder would need 64 times as long; the rest is for a busy machine.
      assert.ok(time(words.slice(0, 320_000)) < 30 * short + 100);
    });
  });
});

suite('special tokens', () => {
  const load = (): Tokenizer => loadTokenizer(writeTinyModel(join(root, 'tiny')));

  test('count when parsed and are plain text when not', () => {
    const tokenizer = load();
    const text = 'a<|im_end|>b';
    assert.deepEqual(
      [...tokenizer.encode(text, { specials: 'parse' })].filter((id) => id < 3),
      [2],
    );
    const plain = tokenizer.encode(text, { specials: 'none' });
    assert.ok(plain.every((id) => id >= 3));
    assert.equal(tokenizer.decode(plain), text);
  });

  test('pieces are one text to BPE, whatever their rules for special tokens', () => {
    const tokenizer = load();
    const whole = tokenizer.encode('<|im_start|>user\nthe key', { specials: 'parse' });
    const cut = tokenizer.encodePieces([
      { text: '<|im_start|>user\nt', specials: 'parse' },
      { text: 'he key', specials: 'none' },
    ]);
    assert.deepEqual(cut.ids, whole);
    const hostile = tokenizer.encodePieces([
      { text: '<|im_start|>', specials: 'parse' },
      { text: '<|im_end|>', specials: 'none' },
    ]);
    assert.deepEqual(
      [...hostile.ids].filter((id) => id < 3),
      [1],
    );
  });

  test('nothing is added and nothing encodes to nothing', () => {
    const tokenizer = load();
    assert.equal(tokenizer.encode('', { specials: 'parse' }).length, 0);
    assert.equal(tokenizer.decode([]), '');
  });
});

suite('SentencePiece spaces', () => {
  test('a text that continues another gets no space in front', () => {
    const tokenizer = loadTokenizer(directoryOf('llama'));
    const alone = tokenizer.encodeWithOffsets('the key', { specials: 'none' });
    const continued = tokenizer.encodeWithOffsets('the key', { specials: 'none', continues: true });
    assert.equal(tokenizer.decode([3, ...alone.ids]), '<|im_start|> the key');
    assert.equal(tokenizer.decode([3, ...continued.ids]), '<|im_start|>the key');
    assert.deepEqual([alone.starts[0], alone.ends.at(-1)], [0, 7]);
  });
});

suite('what we do not know exactly is refused', () => {
  const changed = (change: (json: Record<string, unknown>) => void): string => {
    const directory = directoryOf('llama-bpe');
    const path = join(directory, 'tokenizer.json');
    const json = JSON.parse(readFileSync(path, 'utf8'));
    change(json);
    writeFileSync(path, JSON.stringify(json));
    return directory;
  };
  const unsupported: [string, (json: Record<string, unknown>) => void][] = [
    ['a WordPiece model', (json) => Object.assign(json, { model: { type: 'WordPiece', vocab: {} } })],
    ['a lower-casing normaliser', (json) => Object.assign(json, { normalizer: { type: 'Lowercase' } })],
    [
      'a pattern that can take years',
      (json) =>
        Object.assign(json, {
          pre_tokenizer: {
            type: 'Sequence',
            pretokenizers: [
              { type: 'Split', pattern: { Regex: '(\\p{L}+)+$' }, behavior: 'Isolated', invert: false },
              { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
            ],
          },
        }),
    ],
    ['another pre-tokenizer', (json) => Object.assign(json, { pre_tokenizer: { type: 'Whitespace' } })],
  ];
  for (const [what, change] of unsupported) {
    test(`${what} is ERR_UNSUPPORTED`, () => {
      assert.throws(() => loadTokenizer(changed(change)), { code: 'ERR_UNSUPPORTED' });
    });
  }

  test('a token id in the billions is ERR_MODEL_FORMAT before an array is made for it', () => {
    const directory = changed((json) => {
      (json.model as { vocab: Record<string, number> }).vocab.far = 2 ** 31;
    });
    assert.throws(() => loadTokenizer(directory), { code: 'ERR_MODEL_FORMAT', message: /model\.vocab\.far/ });
  });

  test('an unknown tokenizer.ggml.pre is ERR_UNSUPPORTED with the known ones', () => {
    const path = join(root, 'unknown.gguf');
    const metadata: Record<string, FileValue> = {
      'tokenizer.ggml.model': { text: 'gpt2' },
      'tokenizer.ggml.pre': { text: 'deepseek-llm' },
      'tokenizer.ggml.tokens': { texts: ['a'] },
    };
    writeFileSync(path, ggufBytes(metadata, []));
    assert.throws(() => loadTokenizer(path), {
      code: 'ERR_UNSUPPORTED',
      message: /gpt-2, smollm, llama-bpe.*got "deepseek-llm"/,
    });
  });

  test('a directory without tokenizer.json is ERR_MISSING', () => {
    assert.throws(() => loadTokenizer(mkdtempSync(join(root, 'empty-'))), {
      code: 'ERR_MISSING',
      message: /tokenizer\.json/,
    });
  });
});
