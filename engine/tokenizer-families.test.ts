/** Tokenizers of Qwen, Gemma and Phi-3 against the library each came from, as recorded by scripts/record-family-tokenizers.py. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { findModel } from './models.js';
import { type FileValue, ggufBytes } from './tiny-model-files.js';
import { loadTokenizer, type Tokenizer } from './tokenizer.js';
import { composed } from './tokenizer-normalise.js';

interface Case {
  readonly text: string;
  readonly ids: readonly number[];
  readonly decoded?: string;
}
const families = ['qwen2', 'gemma', 'phi3'] as const;
type Name = (typeof families)[number];

const fixture = (name: string): string => join(import.meta.dirname, 'fixtures', name);
const cases: Readonly<Record<Name | 'gemma-3-270m', readonly Case[]>> = JSON.parse(
  readFileSync(fixture('tokenizer-family-cases.json'), 'utf8'),
);

const root = mkdtempSync(join(tmpdir(), 'winnow-tokenizer-families-'));
after(() => rmSync(root, { recursive: true, force: true }));

function directoryOf(name: Name): string {
  const directory = mkdtempSync(join(root, 'directory-'));
  copyFileSync(fixture(`tokenizer-${name}.json`), join(directory, 'tokenizer.json'));
  return directory;
}

/** The same tokenizer as GGUF metadata: what conversions write for the family. */
function ggufOf(name: Name): string {
  const { model, added_tokens: added } = JSON.parse(readFileSync(fixture(`tokenizer-${name}.json`), 'utf8'));
  const tokens = Object.entries(model.vocab as Record<string, number>)
    .sort(([, a], [, b]) => a - b)
    .map(([token]) => token);
  const kinds = new Map<string, number>();
  for (const { content, special } of added as { content: string; special: boolean }[])
    kinds.set(content, content === '<unk>' ? 2 : special ? 3 : 4);
  const typeOf = (token: string): number => kinds.get(token) ?? (/^<0x..>$/.test(token) ? 6 : 1);
  const own: Record<string, FileValue> =
    name === 'qwen2'
      ? {
          'tokenizer.ggml.model': { text: 'gpt2' },
          'tokenizer.ggml.pre': { text: 'qwen2' },
          'tokenizer.ggml.merges': { texts: model.merges.map((merge: string[]) => merge.join(' ')) },
        }
      : {
          'tokenizer.ggml.model': { text: 'llama' },
          'tokenizer.ggml.scores': { f32s: tokens.map((_, id) => -id) },
          'tokenizer.ggml.unknown_token_id': { u32: tokens.indexOf('<unk>') },
          'tokenizer.ggml.bos_token_id': { u32: tokens.indexOf(name === 'gemma' ? '<bos>' : '<s>') },
          'tokenizer.ggml.add_space_prefix': { bool: name === 'phi3' },
        };
  const path = join(root, `${name}.gguf`);
  const metadata: Record<string, FileValue> = {
    'general.architecture': { text: name === 'gemma' ? 'gemma3' : name },
    'tokenizer.ggml.tokens': { texts: tokens },
    'tokenizer.ggml.token_type': { i32s: tokens.map(typeOf) },
    ...own,
  };
  writeFileSync(path, ggufBytes(metadata, []));
  return path;
}

function matchesAll(tokenizer: Tokenizer, expected: readonly Case[]): void {
  for (const { text, ids, decoded } of expected) {
    assert.deepEqual([...tokenizer.encode(text, { specials: 'parse' })], ids, JSON.stringify(text));
    if (decoded !== undefined) assert.equal(tokenizer.decode(ids), decoded, JSON.stringify(text));
  }
}

suite('tokenizers of the families', () => {
  for (const name of families) {
    test(`${name} from tokenizer.json`, () => matchesAll(loadTokenizer(directoryOf(name)), cases[name]));

    test(`${name} from GGUF metadata`, () => {
      // A file does not say that <unk> stands for itself, so texts that write it are left out.
      matchesAll(
        loadTokenizer(ggufOf(name)),
        cases[name].filter(({ text }) => !text.includes('<unk>')),
      );
    });

    test(`${name}: tokens cover the text in order`, () => {
      const tokenizer = loadTokenizer(directoryOf(name));
      for (const { text } of cases[name]) {
        const { starts, ends } = tokenizer.encodeWithOffsets(text, { specials: 'none' });
        let covered = 0;
        starts.forEach((start, i) => {
          assert.ok(start <= covered && ends[i]! >= start && ends[i]! <= text.length, JSON.stringify(text));
          covered = Math.max(covered, ends[i]!);
        });
        assert.equal(covered, text.length, JSON.stringify(text));
      }
    });
  }

  test('Gemma 3 270M from its GGUF file, as SentencePiece itself encodes', async (context) => {
    const model = await findModel('gemma-3-270m');
    if (model === undefined) return context.skip('gemma-3-270m is not in the cache: winnow models pull gemma-3-270m');
    const tokenizer = loadTokenizer(model.path);
    matchesAll(tokenizer, cases['gemma-3-270m']);
    assert.equal(tokenizer.startText, '<bos>');
  });
});

suite('composition', () => {
  test('is that of the whole text, with the characters that were written behind each one', () => {
    for (const { text } of cases.qwen2) {
      const { text: whole, starts, ends } = composed(text);
      assert.equal(whole, text.normalize('NFC'));
      if (starts === undefined || ends === undefined) {
        assert.equal(whole, text);
        continue;
      }
      for (let at = 0; at < whole.length; at++) {
        const origin = text.slice(starts[at]!, ends[at]!);
        assert.ok(origin.normalize('NFC').includes(whole[at]!), `${JSON.stringify(text)} at ${at}`);
      }
      assert.equal(ends.at(-1), text.length);
    }
  });

  test('leaves composed text as it is', () => {
    assert.deepEqual(composed('Äß 漢字 🙂'), { text: 'Äß 漢字 🙂', starts: undefined, ends: undefined });
  });
});
