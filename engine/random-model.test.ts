import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveMethod } from '../methods/load.js';
import { openCheckpoint, tensorOf } from './checkpoint.js';
import { defaultOpenOptions } from './index.js';
import { openLocal } from './local.js';
import { resolveModel } from './models.js';
import { inspectModel } from './models-inspect.js';
import { isRandomModel, parameterCount, randomModel } from './random-model.js';
import { randomConfig, randomShapes } from './random-model-shapes.js';
import { loadTokenizer } from './tokenizer.js';

const valuesOf = (ref: string, name: string): Float32Array => {
  const bytes = tensorOf(openCheckpoint(ref), name).bytes;
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
};

test('shapes have the published numbers of parameters', () => {
  const published: Record<string, number> = {
    'smollm2-135m': 134_515_008,
    'llama-3.2-1b': 1_235_814_400,
    'llama-3.2-3b': 3_212_749_824,
    'llama-3.1-8b': 8_030_261_248,
    'mistral-7b-v0.3': 7_248_023_552,
    'qwen2.5-7b': 7_615_616_512,
    'qwen3-8b': 8_190_735_360,
  };
  for (const shape of randomShapes.filter((name) => name !== 'tiny'))
    assert.equal(parameterCount(randomConfig(shape)!), published[shape], shape);
});

test('a random model is named by shape and seed, and by a hash of both', async () => {
  const model = await resolveModel('random:tiny');
  assert.deepEqual(model, { id: 'random:tiny', path: 'random:tiny', sha256: randomModel('random:tiny').sha256 });
  assert.equal((await resolveModel('random:tiny@0')).id, 'random:tiny');
  const other = await resolveModel('random:tiny@7');
  assert.notEqual(other.sha256, model.sha256);
  assert.equal(isRandomModel(other.path), true);
  assert.throws(() => randomModel('random:llama-3.1-8'), /ERR_USAGE.*Did you mean random:llama-3\.1-8b\?/);
  assert.throws(() => randomModel('random:tiny@-1'), /a seed from 0/);
  assert.throws(() => randomModel('random:tiny@4294967296'), /a seed from 0/);
  assert.throws(() => randomModel('random:toString'), /ERR_USAGE/);
});

test('weights are normal with the deviation that keeps unit size, gains are one, the same seed gives the same', () => {
  const q = valuesOf('random:tiny', 'layers.1.attention.q');
  const mean = q.reduce((sum, value) => sum + value, 0) / q.length;
  const square = q.reduce((sum, value) => sum + value * value, 0) / q.length;
  assert.ok(Math.abs(mean) < 4 / Math.sqrt(128 * q.length), `mean ${mean}`);
  assert.ok(Math.abs(square * 128 - 1) < 0.02, `variance times columns ${square * 128}`);
  assert.ok(valuesOf('random:tiny', 'layers.0.attention.norm').every((gain) => gain === 1));
  assert.deepEqual(valuesOf('random:tiny', 'layers.1.attention.q'), q);
  assert.notDeepEqual(valuesOf('random:tiny', 'layers.0.attention.q'), q);
  assert.notDeepEqual(valuesOf('random:tiny@1', 'layers.1.attention.q'), q);
});

test('tensors longer than the cycle of draws go on with it', () => {
  const { bytes, byteLength } = tensorOf(openCheckpoint('random:smollm2-135m'), 'embedding');
  assert.equal(byteLength, 49_152 * 576 * 2);
  const rowAt = (value: number): Uint8Array => bytes.slice(2 * value, 2 * (value + 576));
  assert.deepEqual(rowAt(0), rowAt(1_048_573));
  assert.deepEqual(rowAt(1000), rowAt(1000 + 26 * 1_048_573));
  assert.notDeepEqual(rowAt(0), rowAt(576));
});

test('the tokenizer needs no file, round-trips text, and any id of the model decodes', () => {
  const tokenizer = loadTokenizer('random:llama-3.1-8b');
  const text = 'The key is 1234: naïve “ünïcödé” 漢字 🙂.\n';
  assert.equal(tokenizer.decode(tokenizer.encode(text, { specials: 'none' })), text);
  assert.deepEqual(tokenizer.stopIds, []);
  assert.equal(tokenizer.decode([128_255, 70, 5000]), tokenizer.decode([70]));
});

test('a random model generates, and inspects without a file', async () => {
  const engine = openLocal('random:tiny', { ...defaultOpenOptions, resolveMethod, cancelled: () => undefined });
  try {
    const { tokenIds, finishReason } = await engine.generate({ text: 'What is the key?', raw: false, maxNewTokens: 6 });
    assert.equal(tokenIds.length, 6);
    assert.equal(finishReason, 'length');
    const logits = engine.logits(Int32Array.of(5, 80, 270));
    const rms = Math.hypot(...logits) / Math.sqrt(logits.length);
    assert.ok(rms > 0.5 && rms < 2, `root mean square of logits ${rms}`);
  } finally {
    await engine.close();
  }
  const { format, parameters, weightBytes } = await inspectModel('random:tiny');
  assert.deepEqual([format, weightBytes], ['random', 2 * parameters]);
});

test('the cpu backend refuses a shape that would take its memory', () => {
  assert.throws(
    () => openLocal('random:llama-3.1-8b', { ...defaultOpenOptions, resolveMethod, cancelled: () => undefined }),
    /\[ERR_UNSUPPORTED\] random:llama-3\.1-8b: expected at most 4 billion parameters on the cpu backend, got .*--backend cuda/,
  );
});
