/** Rotary embeddings whose angles are stretched for longer contexts. */
import { WinnowError } from '../core/errors.js';

export type RopeScaling =
  | { readonly kind: 'none' }
  | { readonly kind: 'linear'; readonly factor: number }
  /** Theta grows with the length of the text, beyond the original length. */
  | { readonly kind: 'dynamic'; readonly factor: number; readonly originalMaxPositions: number }
  | {
      readonly kind: 'yarn';
      readonly factor: number;
      readonly originalMaxPositions: number;
      /** Multiplies cosines and sines. */
      readonly attentionFactor: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** The borders of the blend are whole pairs. */
      readonly truncate: boolean;
    }
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalMaxPositions: number;
    }
  /** Divisors per pair, one set for texts up to the original length and one for longer ones. */
  | {
      readonly kind: 'longrope';
      readonly shortFactors: readonly number[];
      readonly longFactors: readonly number[];
      readonly originalMaxPositions: number;
      readonly attentionFactor: number;
    }
  /** Divisors per pair that stand in the checkpoint. */
  | { readonly kind: 'factors'; readonly factors: readonly number[] };

/** YaRN's own rule for the factor of cosines and sines (arXiv 2309.00071, section 3.4). */
export const yarnAttentionFactor = (factor: number, weight = 1): number =>
  factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1;

/** LongRoPE's rule (arXiv 2402.13753, section 3.4). */
export const longropeAttentionFactor = (factor: number, originalMaxPositions: number): number =>
  factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalMaxPositions));

/** Holds the numbers against one another; a file may say anything. */
export function checkScaling(where: string, scaling: RopeScaling, ropeDims: number): void {
  for (const [name, value] of Object.entries(scaling)) {
    if (typeof value !== 'number' || (value > 0 && Number.isFinite(value))) continue;
    throw refusedScaling(where, name, 'a positive number', value);
  }
  if (scaling.kind === 'llama3' && scaling.highFrequencyFactor <= scaling.lowFrequencyFactor) {
    throw refusedScaling(
      where,
      'highFrequencyFactor',
      `more than lowFrequencyFactor (${scaling.lowFrequencyFactor})`,
      scaling.highFrequencyFactor,
    );
  }
  if (scaling.kind === 'dynamic' && ropeDims < 4)
    throw refusedScaling(where, 'kind', 'at least 4 rotated channels for dynamic', ropeDims);
  const lists =
    scaling.kind === 'factors'
      ? { factors: scaling.factors }
      : scaling.kind === 'longrope'
        ? { shortFactors: scaling.shortFactors, longFactors: scaling.longFactors }
        : {};
  for (const [name, factors] of Object.entries(lists)) {
    if (factors.length !== ropeDims / 2) throw refusedScaling(where, name, `${ropeDims / 2} numbers`, factors.length);
    const bad = factors.find((factor) => !(factor > 0 && Number.isFinite(factor)));
    if (bad !== undefined) throw refusedScaling(where, name, 'positive numbers', bad);
  }
}

const refusedScaling = (where: string, name: string, expected: string, actual: unknown): WinnowError =>
  new WinnowError(
    'ERR_MODEL_FORMAT',
    `${where}, ropeScaling.${name}`,
    expected,
    actual,
    'The model file is damaged or not of the kind that it claims.',
  );
