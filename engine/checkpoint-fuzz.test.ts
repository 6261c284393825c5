import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { WinnowError } from '../core/errors.js';
import { createRandom } from '../core/random.js';
import { openCheckpoint } from './checkpoint.js';
import { mutateBytes } from './fuzz/mutate.js';
import { makeSeeds } from './fuzz/seeds.js';
import { allowedCodes, fuzzTargets } from './fuzz/targets.js';
import { writeTinyModel } from './tiny-model.js';
import { loadTokenizer } from './tokenizer.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-fuzz-'));
after(() => rmSync(root, { recursive: true, force: true }));

const rounds = 700;
/** Text formats go through JSON.parse and a schema; fewer cases reach everything. */
const textRounds = 300;
const small = { layers: 1, hiddenSize: 32, queryHeads: 2, kvHeads: 1, headDim: 16, ffn: 32, vocab: 262 } as const;
/** Opens everything that reads the file. Only WinnowErrors may come out; memory may not grow beyond what the file justifies. */
function open(path: string, what: string): 'opened' | string {
  try {
    const checkpoint = openCheckpoint(path);
    try {
      for (const tensor of checkpoint.tensors.values()) assert.equal(tensor.bytes.length, tensor.byteLength);
    } finally {
      checkpoint.close();
    }
    loadTokenizer(path).encode('the key 42', { specials: 'parse' });
    return 'opened';
  } catch (error) {
    assert.ok(error instanceof WinnowError, `${what}: ${(error as Error).stack}`);
    assert.ok(['ERR_MODEL_FORMAT', 'ERR_UNSUPPORTED', 'ERR_MISSING'].includes(error.code), `${what}: ${error.message}`);
    return error.code;
  }
}

suite('damaged model files', () => {
  test(`${rounds} mutations of a GGUF file end in a model or in one WinnowError`, () => {
    const path = writeTinyModel(join(root, 'gguf'), small);
    const bytes = readFileSync(path);
    const headerBytes = bytes.indexOf('output_norm.weight') + 2_000;
    const outcomes = new Map<string, number>();
    for (let round = 0; round < rounds; round++) {
      const random = createRandom('fuzz-gguf', round);
      writeFileSync(path, mutateBytes(bytes, random, headerBytes));
      const outcome = open(path, `fuzz-gguf ${round}`);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    // Both kinds of outcome must be there, or the mutations test nothing.
    assert.ok((outcomes.get('ERR_MODEL_FORMAT') ?? 0) > rounds / 4, JSON.stringify([...outcomes]));
    assert.ok((outcomes.get('opened') ?? 0) > rounds / 50, JSON.stringify([...outcomes]));
  });

  for (const name of ['model.safetensors', 'config.json', 'tokenizer.json', 'tokenizer_config.json']) {
    const count = name === 'model.safetensors' ? rounds : textRounds;
    test(`${count} mutations of ${name} end in a model or in one WinnowError`, () => {
      const directory = writeTinyModel(join(root, name), { ...small, format: 'safetensors' });
      const path = join(directory, name);
      const bytes = readFileSync(path);
      const outcomes = new Map<string, number>();
      for (let round = 0; round < count; round++) {
        const random = createRandom('fuzz', name, round);
        writeFileSync(path, mutateBytes(bytes, random, name === 'model.safetensors' ? 1_500 : bytes.length));
        const outcome = open(directory, `fuzz ${name} ${round}`);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
      assert.ok((outcomes.get('ERR_MODEL_FORMAT') ?? 0) > count / 4, JSON.stringify([...outcomes]));
    });
  }

  // Whole files on disk above; here everything that reads one, from memory. `npm run fuzz` runs a million of these.
  for (const { name, share, make } of fuzzTargets(makeSeeds(), join(root, 'targets'))) {
    const inputs = 60 * share;
    test(`${inputs} damaged inputs of ${name} end in a WinnowError or in nothing at all`, () => {
      const outcomes = { accepted: 0, refused: 0 };
      for (let at = 0; at < inputs; at++) {
        const input = make(2, at);
        try {
          input.run();
          outcomes.accepted++;
        } catch (error) {
          assert.ok(error instanceof WinnowError, `input ${at}: ${(error as Error).stack}`);
          assert.ok(allowedCodes.has(error.code), `input ${at}: ${error.message}`);
          assert.doesNotMatch(error.message, /\n/, `input ${at}`);
          outcomes.refused++;
        }
      }
      // Both kinds of outcome must be there, or the mutations test nothing.
      assert.ok(outcomes.accepted > 0 && outcomes.refused > inputs / 50, JSON.stringify(outcomes));
    });
  }
});
