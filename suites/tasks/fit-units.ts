import { WinnowError } from '../../core/errors.js';

export interface FitRequest {
  /** Names the task in the error. */
  readonly task: string;
  /** Longest prompt in tokens, answer room included. */
  readonly length: number;
  readonly maxNewTokens: number;
  /** Units that there are; without end unless given. */
  readonly most?: number;
  /** Exact tokens of the prompt with the first n units. */
  promptTokens(n: number): number;
  /** Tokens of unit i alone: only guides the search. */
  unitTokens(i: number): number;
}

/**
 * The largest number of haystack units whose prompt leaves room for the answer: prompt + maxNewTokens <= length (RULER's rule), and one
 * unit more would not fit.
 *
 * Tokens are nearly additive over units, so an estimate lands within a unit or two and the exact count brackets it: about three counts
 * of the whole prompt per sample at any length. Throws ERR_SUITE when not even the prompt without haystack fits.
 */
export const fitUnits = ({
  task,
  length,
  maxNewTokens,
  most = Number.POSITIVE_INFINITY,
  promptTokens,
  unitTokens,
}: FitRequest): number => {
  const room = length - maxNewTokens;
  const base = promptTokens(0);
  if (base > room) {
    const expected = `a length of at least ${base + maxNewTokens} tokens (the empty prompt and ${maxNewTokens} for the answer)`;
    throw new WinnowError('ERR_SUITE', task, expected, length, 'Use a longer length or a smaller maxNewTokens.');
  }
  let fits = 0;
  let fitsTokens = base;
  let tooMany = most + 1;
  while (tooMany - fits > 1) {
    let guess = fits;
    let tokens = fitsTokens;
    while (guess + 1 < tooMany && tokens + unitTokens(guess) <= room) tokens += unitTokens(guess++);
    // The estimate says that nothing more fits: try one, which closes the bracket or proves it wrong.
    if (guess === fits) guess = fits + 1;
    const exact = promptTokens(guess);
    if (exact <= room) [fits, fitsTokens] = [guess, exact];
    else tooMany = guess;
  }
  return fits;
};
