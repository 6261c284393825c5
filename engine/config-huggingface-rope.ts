/** Rotary scaling from the `rope_parameters` or `rope_scaling` of a `config.json`. */
import { WinnowError } from '../core/errors.js';
import { longropeAttentionFactor, type RopeScaling, yarnAttentionFactor } from './config-scaling.js';

export interface ScalingLengths {
  /** Positions that the model serves. */
  readonly maxPositions: number;
  /** Positions it was first trained on, where the file says so outside the scaling. */
  readonly originalMaxPositions: number | undefined;
}

/** Throws: ERR_UNSUPPORTED for a kind that we do not know, ERR_MODEL_FORMAT for missing numbers. */
export function scalingFromHuggingFace(
  where: string,
  scaling: Readonly<Record<string, unknown>> | undefined,
  lengths: ScalingLengths,
): RopeScaling {
  const kind = scaling?.rope_type ?? scaling?.type ?? 'default';
  const refuse = (key: string, expected: string): never => {
    throw new WinnowError('ERR_MODEL_FORMAT', `${where}, rope_scaling.${key}`, expected, scaling?.[key]);
  };
  const optional = (key: string): number | undefined => {
    const value = scaling?.[key] ?? undefined;
    return value === undefined || typeof value === 'number' ? value : refuse(key, 'a number');
  };
  const number = (key: string, otherwise?: number): number => optional(key) ?? otherwise ?? refuse(key, 'a number');
  const numbers = (key: string): number[] => {
    const value = scaling?.[key];
    const isList = Array.isArray(value) && value.every((item) => typeof item === 'number');
    return isList ? (value as number[]) : refuse(key, 'a list of numbers');
  };
  const original = (): number =>
    number('original_max_position_embeddings', lengths.originalMaxPositions ?? lengths.maxPositions);
  const stretch = (): number => number('factor', lengths.maxPositions / original());

  switch (kind) {
    case 'default':
      return { kind: 'none' };
    case 'linear':
      return { kind: 'linear', factor: number('factor') };
    case 'dynamic':
      return { kind: 'dynamic', factor: number('factor'), originalMaxPositions: lengths.maxPositions };
    case 'yarn': {
      const factor = stretch();
      const [weight, allDims] = [optional('mscale'), optional('mscale_all_dim')];
      const ruled =
        weight === undefined || allDims === undefined || weight === 0 || allDims === 0
          ? yarnAttentionFactor(factor)
          : yarnAttentionFactor(factor, weight) / yarnAttentionFactor(factor, allDims);
      return {
        kind: 'yarn',
        factor,
        originalMaxPositions: original(),
        attentionFactor: number('attention_factor', ruled),
        betaFast: number('beta_fast', 32),
        betaSlow: number('beta_slow', 1),
        truncate: scaling?.truncate !== false,
      };
    }
    case 'llama3':
      return {
        kind: 'llama3',
        factor: number('factor'),
        lowFrequencyFactor: number('low_freq_factor'),
        highFrequencyFactor: number('high_freq_factor'),
        originalMaxPositions: original(),
      };
    // Files of Phi-3 before the name was settled say su.
    case 'su':
    case 'longrope':
      return {
        kind: 'longrope',
        shortFactors: numbers('short_factor'),
        longFactors: numbers('long_factor'),
        originalMaxPositions: original(),
        attentionFactor: number('attention_factor', longropeAttentionFactor(stretch(), original())),
      };
    default:
      throw new WinnowError(
        'ERR_UNSUPPORTED',
        `${where}, rope_scaling`,
        'none, linear, dynamic, yarn, llama3 or longrope',
        kind,
      );
  }
}
