/** Angles of the rotary embedding, rounded as f32 implementations round them so that long positions agree with theirs. */
import type { ModelConfig } from './config.js';
import type { RopeScaling } from './config-scaling.js';

/** One rotary embedding of a model; layers that rotate alike share it. */
export type Rotary = Pick<ModelConfig, 'ropeDims' | 'ropeTheta' | 'ropeScaling'>;

/**
 * Which angles a text of `length` tokens is rotated by; texts with equal names share a table. Where theta grows with every token, a
 * step of one token takes row p of the table `own`, which is rotated as a text of p + 1 tokens.
 */
export function angleSet({ ropeScaling }: Rotary, length: number, isOneToken: boolean): string {
  if (ropeScaling.kind !== 'longrope' && ropeScaling.kind !== 'dynamic') return 'all';
  if (length <= ropeScaling.originalMaxPositions) return 'short';
  if (ropeScaling.kind === 'longrope') return 'long';
  return isOneToken ? 'own' : String(length);
}

/** Radians per position of each rotated pair in a text of `length` tokens, f32 [ropeDims / 2]. */
export function rotaryFrequencies({ ropeDims, ropeTheta, ropeScaling }: Rotary, length = 0): Float32Array {
  const theta =
    ropeScaling.kind === 'dynamic' && length > ropeScaling.originalMaxPositions
      ? dynamicTheta(ropeTheta, ropeDims, ropeScaling, length)
      : ropeTheta;
  const blend = ropeScaling.kind === 'yarn' ? yarnBlend(ropeTheta, ropeDims, ropeScaling) : undefined;
  const frequencies = new Float32Array(ropeDims / 2);
  for (let pair = 0; pair < frequencies.length; pair++) {
    const wave = Math.fround(theta ** Math.fround((2 * pair) / ropeDims));
    const plain = Math.fround(1 / wave);
    switch (ropeScaling.kind) {
      case 'none':
      case 'dynamic':
        frequencies[pair] = plain;
        break;
      case 'linear':
        frequencies[pair] = plain / ropeScaling.factor;
        break;
      case 'factors':
        frequencies[pair] = plain / ropeScaling.factors[pair]!;
        break;
      case 'longrope': {
        const isLong = length > ropeScaling.originalMaxPositions;
        const factors = isLong ? ropeScaling.longFactors : ropeScaling.shortFactors;
        frequencies[pair] = 1 / Math.fround(Math.fround(factors[pair]!) * wave);
        break;
      }
      case 'llama3':
        frequencies[pair] = plain * llama3Share(plain, ropeScaling);
        break;
      case 'yarn': {
        const stretched = Math.fround(1 / Math.fround(ropeScaling.factor * wave));
        frequencies[pair] = stretched * (1 - blend!(pair)) + plain * blend!(pair);
        break;
      }
    }
  }
  return frequencies;
}

/**
 * Cosines then sines of every position, f32 [positions, ropeDims]: row p holds cos(p f_i) for all pairs i, then sin(p f_i), times the
 * attention factor of the scaling. The angle is rounded to f32 before cosine and sine, as f32 implementations do.
 */
export function rotaryTable(rotary: Rotary, positions: number, set = 'all'): Float32Array {
  const half = rotary.ropeDims / 2;
  const factor = 'attentionFactor' in rotary.ropeScaling ? rotary.ropeScaling.attentionFactor : 1;
  const table = new Float32Array(positions * half * 2);
  let frequencies = rotaryFrequencies(rotary, lengthOf(rotary, set));
  for (let position = 0; position < positions; position++) {
    if (set === 'own') frequencies = rotaryFrequencies(rotary, position + 1);
    const row = position * half * 2;
    for (let pair = 0; pair < half; pair++) {
      const angle = Math.fround(position * frequencies[pair]!);
      table[row + pair] = Math.fround(Math.cos(angle)) * factor;
      table[row + half + pair] = Math.fround(Math.sin(angle)) * factor;
    }
  }
  return table;
}

/** A length whose angles the set holds. */
const lengthOf = ({ ropeScaling }: Rotary, set: string): number => {
  if (set === 'long' && ropeScaling.kind === 'longrope') return ropeScaling.originalMaxPositions + 1;
  const length = Number(set);
  return Number.isInteger(length) ? length : 0;
};

/** Theta for a text beyond the original length, in the f32 steps of the usual implementation. */
function dynamicTheta(
  theta: number,
  dims: number,
  { factor, originalMaxPositions }: Extract<RopeScaling, { kind: 'dynamic' }>,
  length: number,
): number {
  const stretch = Math.fround(Math.fround(Math.fround(factor * length) / originalMaxPositions) - (factor - 1));
  return Math.fround(theta * Math.fround(stretch ** (dims / (dims - 2))));
}

/** Llama 3.1: long wavelengths slow down by `factor`, short ones stay, those between blend linearly in original length ÷ wavelength. */
function llama3Share(frequency: number, scaling: Extract<RopeScaling, { kind: 'llama3' }>): number {
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalMaxPositions } = scaling;
  const turns = (originalMaxPositions * frequency) / (2 * Math.PI);
  if (turns < lowFrequencyFactor) return 1 / factor;
  if (turns > highFrequencyFactor) return 1;
  const blend = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
  return (1 - blend) / factor + blend;
}

/** YaRN: the share of the plain frequency, by pair: 1 for pairs that turn more than betaFast times in the original length, 0 below betaSlow. */
function yarnBlend(
  theta: number,
  dims: number,
  { originalMaxPositions, betaFast, betaSlow, truncate }: Extract<RopeScaling, { kind: 'yarn' }>,
): (pair: number) => number {
  const pairOf = (turns: number): number =>
    (dims * Math.log(originalMaxPositions / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const round = truncate ? { down: Math.floor, up: Math.ceil } : { down: Number, up: Number };
  const low = Math.max(round.down(pairOf(betaFast)), 0);
  let high = Math.min(round.up(pairOf(betaSlow)), dims - 1);
  if (high === low) high += 0.001;
  return (pair) => 1 - Math.min(1, Math.max(0, Math.fround(Math.fround(pair - low) / (high - low))));
}
