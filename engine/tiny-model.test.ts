import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { sha256Hex } from '../core/canonical-json.js';
import { tinyConfig, tinyTensors } from './tiny-model.js';
import { decodeWeights, encodeWeights, fromHalf, toBfloat, toHalf } from './tiny-model-quantise.js';

suite('test models', () => {
  test('the same seed gives the same bytes on every machine, another seed others', () => {
    const hash = (seed: number): string =>
      sha256Hex(
        Buffer.concat(tinyTensors(tinyConfig(), { format: 'gguf', seed, type: 'F32' }).map(({ bytes }) => bytes)),
      );
    assert.equal(hash(1), hash(1));
    assert.notEqual(hash(1), hash(2));
  });

  test('every half-precision number survives a round trip', () => {
    for (let bits = 0; bits < 65_536; bits++) {
      const value = fromHalf(bits);
      if (!Number.isNaN(value)) assert.equal(toHalf(value), bits);
    }
  });

  test('rounding is to the nearest, ties to even', () => {
    assert.equal(fromHalf(toHalf(1 + 2 ** -11)), 1);
    assert.equal(fromHalf(toHalf(1 + 3 * 2 ** -11)), 1 + 2 ** -9);
    assert.equal(fromHalf(toHalf(65_519)), 65_504);
    assert.equal(fromHalf(toHalf(65_520)), Number.POSITIVE_INFINITY);
    assert.equal(toBfloat(1 + 2 ** -8), 0x3f80);
    assert.equal(toBfloat(1 + 3 * 2 ** -8), 0x3f82);
  });

  test('values that a block type can hold come back exactly', () => {
    const steps = Float32Array.from({ length: 32 }, (_, index) => index % 16);
    assert.deepEqual(decodeWeights(encodeWeights(steps, 'Q4_1'), 'Q4_1'), steps);
    const centred = steps.map((value) => value - 8);
    assert.deepEqual(decodeWeights(encodeWeights(centred, 'Q4_0'), 'Q4_0'), centred);
    const wide = Float32Array.from({ length: 32 }, (_, index) => (index === 0 ? 127 : index - 16));
    assert.deepEqual(decodeWeights(encodeWeights(wide, 'Q8_0'), 'Q8_0'), wide);
  });

  test('a block of zeros stays zero in every type', () => {
    for (const type of ['F32', 'F16', 'BF16', 'Q8_0', 'Q4_0', 'Q4_1'] as const) {
      assert.ok(decodeWeights(encodeWeights(new Float32Array(32), type), type).every((value) => value === 0));
    }
  });
});
