import { WinnowError } from '../../core/errors.js';
import type { PerplexityOutcome } from '../contract.js';
import { logProbability } from './log-probability.js';
import { logitBlocks } from './logits.js';
import type { ModelContext } from './sample.js';

/** A stretch of the text fed by itself: tokens [start, end), of which [scored, end) are predicted. */
export interface TextWindow {
  readonly start: number;
  readonly scored: number;
  readonly end: number;
}

/**
 * Windows over n tokens: every token but the first is predicted once. The first window predicts all it holds; each later one goes
 * `stride` tokens further and predicts those, with `window - stride` or more tokens of context before them.
 */
export const textWindows = (n: number, window: number, stride: number): TextWindow[] => {
  const windows: TextWindow[] = [];
  for (let done = 1; done < n; ) {
    const end = Math.min(n, windows.length === 0 ? window : done + stride);
    windows.push({ start: Math.max(0, end - window), scored: done, end });
    done = end;
  }
  return windows;
};

/**
 * Negative log-likelihood in nats of every token of a text but the first. Memory: logits of one block and one window's cache.
 * Throws ERR_USAGE: window outside [2, maxPositions], stride outside [1, window), fewer than two tokens.
 */
export const perplexity = (
  context: ModelContext,
  ids: Int32Array,
  { window, stride }: { readonly window: number; readonly stride: number },
): Omit<PerplexityOutcome, 'scoredBytes'> => {
  const { maxPositions, vocabSize } = context.facts;
  check('window', window >= 2 && window <= maxPositions, `2 to ${maxPositions} tokens, the model's positions`, window);
  check('stride', stride >= 1 && stride < window, `1 to ${window - 1} tokens, less than the window`, stride);
  check('text', ids.length >= 2, 'two tokens or more: the first is predicted from nothing', ids.length);
  const nll = new Float64Array(ids.length - 1);
  const windows = textWindows(ids.length, window, stride);
  for (const { start, scored, end } of windows) {
    // The logits of a position predict the token after it.
    for (const block of logitBlocks(context, ids.subarray(start, end - 1), scored - 1 - start)) {
      const rows = block.logits.length / vocabSize;
      for (let row = 0; row < rows; row++) {
        const token = start + block.start + row + 1;
        const logits = block.logits.subarray(row * vocabSize, (row + 1) * vocabSize);
        nll[token - 1] = -logProbability(logits, ids[token]!).logProbability;
      }
    }
  }
  return { tokens: ids.length, windows: windows.length, nll };
};

const check = (name: string, isGood: boolean, expected: string, actual: number): void => {
  if (!isGood) throw new WinnowError('ERR_USAGE', `perplexity.${name}`, expected, actual);
};
