import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { rotaryFrequencies, rotaryTable } from './config-rope.js';
import { tinyConfig } from './tiny-model.js';

suite('rotary angles', () => {
  test('frequencies fall from 1 to nearly 1 / theta', () => {
    const frequencies = rotaryFrequencies(tinyConfig({ headDim: 64, ropeTheta: 100_000 }));
    assert.equal(frequencies.length, 32);
    assert.equal(frequencies[0], 1);
    for (const [pair, frequency] of frequencies.entries())
      assert.ok(Math.abs(frequency * 100_000 ** (pair / 32) - 1) < 1e-6);
  });

  test('linear scaling divides every frequency', () => {
    const plain = rotaryFrequencies(tinyConfig());
    const scaled = rotaryFrequencies(tinyConfig({ ropeScaling: { kind: 'linear', factor: 4 } }));
    assert.deepEqual(
      scaled,
      plain.map((frequency) => frequency / 4),
    );
  });

  test('llama3 scaling keeps short wavelengths, divides long ones and blends between; its factors say the same', () => {
    const scaling = {
      kind: 'llama3',
      factor: 8,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalMaxPositions: 8_192,
    } as const;
    const options = { headDim: 128, ropeTheta: 500_000 };
    const plain = rotaryFrequencies(tinyConfig(options));
    const scaled = rotaryFrequencies(tinyConfig({ ...options, ropeScaling: scaling }));
    const ratios = [...plain].map((frequency, pair) => frequency / scaled[pair]!);
    assert.equal(ratios[0], 1);
    assert.ok(Math.abs(ratios[63]! - 8) < 1e-6);
    assert.ok(ratios.every((ratio, pair) => ratio >= (ratios[pair - 1] ?? 1) - 1e-6));
    const byFactors = rotaryFrequencies(tinyConfig({ ...options, ropeScaling: { kind: 'factors', factors: ratios } }));
    for (const [pair, frequency] of byFactors.entries()) assert.ok(Math.abs(frequency / scaled[pair]! - 1) < 1e-6);
  });

  test('a table row holds cosines, then sines, of position times frequency', () => {
    const config = tinyConfig({ headDim: 8 });
    const table = rotaryTable(config, 100);
    const frequencies = rotaryFrequencies(config);
    for (const position of [0, 1, 99]) {
      frequencies.forEach((frequency, pair) => {
        assert.ok(Math.abs(table[position * 8 + pair]! - Math.cos(position * frequency)) < 1e-5);
        assert.ok(Math.abs(table[position * 8 + 4 + pair]! - Math.sin(position * frequency)) < 1e-5);
      });
    }
  });
});
