/** Angles of the rotary embedding, rounded as f32 implementations round them so that long positions agree with theirs. */
import type { ModelConfig } from './config.js';

/** Radians per position of each rotated pair, f32 [ropeDims / 2]. */
export function rotaryFrequencies(config: ModelConfig): Float32Array {
  const { ropeDims, ropeTheta, ropeScaling } = config;
  const frequencies = new Float32Array(ropeDims / 2);
  for (let pair = 0; pair < frequencies.length; pair++) {
    const plain = Math.fround(1 / Math.fround(ropeTheta ** Math.fround((2 * pair) / ropeDims)));
    switch (ropeScaling.kind) {
      case 'none':
        frequencies[pair] = plain;
        break;
      case 'linear':
        frequencies[pair] = plain / ropeScaling.factor;
        break;
      case 'factors':
        frequencies[pair] = plain / ropeScaling.factors[pair]!;
        break;
      case 'llama3':
        frequencies[pair] = plain * llama3Share(plain, ropeScaling);
        break;
    }
  }
  return frequencies;
}

/**
 * Cosines then sines of every position, f32 [positions, ropeDims]: row p holds cos(p f_i) for all pairs i, then sin(p f_i).
 * The angle is rounded to f32 before cosine and sine, as f32 implementations do.
 */
export function rotaryTable(config: ModelConfig, positions: number): Float32Array {
  const frequencies = rotaryFrequencies(config);
  const half = frequencies.length;
  const table = new Float32Array(positions * half * 2);
  for (let position = 0; position < positions; position++) {
    const row = position * half * 2;
    for (let pair = 0; pair < half; pair++) {
      const angle = Math.fround(position * frequencies[pair]!);
      table[row + pair] = Math.cos(angle);
      table[row + half + pair] = Math.sin(angle);
    }
  }
  return table;
}

/** Llama 3.1: long wavelengths slow down by `factor`, short ones stay, those between blend linearly in original length ÷ wavelength. */
function llama3Share(frequency: number, scaling: Extract<ModelConfig['ropeScaling'], { kind: 'llama3' }>): number {
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalMaxPositions } = scaling;
  const turns = (originalMaxPositions * frequency) / (2 * Math.PI);
  if (turns < lowFrequencyFactor) return 1 / factor;
  if (turns > highFrequencyFactor) return 1;
  const blend = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
  return (1 - blend) / factor + blend;
}
