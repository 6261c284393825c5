/** Scores of text that was given instead of generated, from its log-probability. */
import { WinnowError } from '../../core/errors.js';
import type { GivenMeasure } from '../../engine/contract.js';
import type { Scorer } from '../contract.js';

/** Geometric mean of the tokens' probabilities: 1 ÷ perplexity. */
const probability = measured(({ logProbability, tokens }) => Math.exp(logProbability / tokens));

/** Share of the tokens that greedy decoding would have chosen, given those before. */
const greedy = measured(({ greedyTokens, tokens }) => greedyTokens / tokens);

export const continuationScorers = { probability, greedy } as const;

function measured(score: (given: GivenMeasure) => number): Scorer {
  return (_prediction, _sample, given) => {
    if (given !== undefined) return score(given);
    const fix = 'These scores come from a run, not from a file of predictions.';
    throw new WinnowError('ERR_USAGE', 'scorer', 'the log-probability of a continuation', 'a prediction', fix);
  };
}
