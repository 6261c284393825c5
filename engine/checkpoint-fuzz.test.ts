import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { WinnowError } from '../core/errors.js';
import { createRandom, type Random } from '../core/random.js';
import { openCheckpoint } from './checkpoint.js';
import { writeTinyModel } from './tiny-model.js';
import { loadTokenizer } from './tokenizer.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-fuzz-'));
after(() => rmSync(root, { recursive: true, force: true }));

const rounds = 1_500;
/** Text formats go through JSON.parse and a schema; fewer cases reach everything. */
const textRounds = 300;
const small = { layers: 1, hiddenSize: 32, queryHeads: 2, kvHeads: 1, headDim: 16, ffn: 32, vocab: 262 } as const;
/** Numbers that break arithmetic: extremes of each width, signs, and sizes just beyond small ones. */
const hostile = [0, 1, 2, 3, 9, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/** One to three changes: a flipped byte, a hostile number of 4 or 8 bytes, a cut, a repeated stretch. */
function mutate(bytes: Buffer, random: Random, headerBytes: number): Buffer {
  let out = Buffer.from(bytes);
  for (let change = random.integer(1, 3); change > 0; change--) {
    const at = random.integer(0, Math.min(headerBytes, out.length) - 1);
    switch (random.integer(0, 4)) {
      case 0:
        out[at] = random.integer(0, 255);
        break;
      case 1:
        if (at + 4 <= out.length) out.writeUInt32LE(random.pick(hostile), at);
        break;
      case 2:
        if (at + 8 <= out.length)
          out.writeBigUInt64LE(BigInt(random.pick(hostile)) << BigInt(random.pick([0, 20, 32])), at);
        break;
      case 3:
        out = out.subarray(0, random.integer(0, out.length));
        if (out.length === 0) return out;
        break;
      default:
        out = Buffer.concat([out.subarray(0, at), out.subarray(at, at + random.integer(1, 64)), out.subarray(at)]);
    }
  }
  return out;
}

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
      writeFileSync(path, mutate(bytes, random, headerBytes));
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
        writeFileSync(path, mutate(bytes, random, name === 'model.safetensors' ? 1_500 : bytes.length));
        const outcome = open(directory, `fuzz ${name} ${round}`);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
      assert.ok((outcomes.get('ERR_MODEL_FORMAT') ?? 0) > count / 4, JSON.stringify([...outcomes]));
    });
  }
});
