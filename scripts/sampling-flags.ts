import { WinnowError } from '../core/errors.js';
import type { Sampling } from '../engine/contract.js';
import type { Values } from './command.js';
import { decimal, whole } from './flags.js';

/** How tokens are drawn: the flags of commands that generate. */
export const samplingFlags = {
  temperature: decimal(
    'Draw tokens, logits divided by T. Default: greedy; 1 when another sampling flag is given.',
    'T',
  ),
  topK: whole('Draw from the K most likely tokens only.', 'K', 1),
  topP: decimal('Draw from the most likely tokens that together hold this share of the mass.', 'P'),
  minP: decimal('Draw from tokens of at least this share of the largest probability.', 'P'),
  seed: whole('Seed of the draws. Default 0.', 'N', 0),
} as const;

/** Undefined: greedy. Throws ERR_USAGE for a seed that nothing would use. */
export const samplingOf = ({
  temperature,
  topK,
  topP,
  minP,
  seed,
}: Values<typeof samplingFlags>): Sampling | undefined => {
  if (temperature === undefined && topK === undefined && topP === undefined && minP === undefined) {
    if (seed === undefined) return undefined;
    throw new WinnowError(
      'ERR_USAGE',
      '--seed',
      'a sampling flag beside it',
      'greedy decoding, which draws nothing',
      'Add --temperature 1.',
    );
  }
  return {
    temperature: temperature ?? 1,
    seed: seed ?? 0,
    ...(topK === undefined ? {} : { topK }),
    ...(topP === undefined ? {} : { topP }),
    ...(minP === undefined ? {} : { minP }),
  };
};
