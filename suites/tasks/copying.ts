import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import { defineTask, sampleOf } from './define-task.js';
import { fillHaystack } from './fill-haystack.js';
import type { HaystackUnits } from './haystack.js';
import { DEPTHS } from './insert-needles.js';
import { wordsApart } from './word-lists.js';

export interface CopyingParams {
  /** Words of a line that are given. */
  readonly cue: number;
  /** Words after them that are to be copied. */
  readonly copied: number;
}

/**
 * Copying by induction (arXiv 2209.11895): lines of random words; the first words of one are given, the rest must be copied. It needs
 * nothing but the attention pattern "find where this stood, take what followed", for as long as the copy lasts.
 *
 * Ours: a line has words of its own, so that the first word of the cue already tells it; the other lines draw from the words that it
 * has not. Scored by the words before the first slip.
 */
export const copying = defineTask<CopyingParams>({
  id: 'copying',
  family: 'recall',
  description: 'The rest of a line of random words whose first words are given.',
  source: {
    title: 'In-context Learning and Induction Heads',
    arxiv: '2209.11895',
    licence: 'generated here',
  },
  version: 1,
  scorer: 'words-in-order',
  maxNewTokens: 32,
  parameters: z.strictObject({
    cue: z.int().min(1).max(8).default(2),
    copied: z.int().min(1).max(32).default(6),
  }),
  makeSample(order) {
    const { params, length, seed, index } = order;
    const random = createRandom(seed, 'copying', length, index);
    const words = wordsApart(params.cue + params.copied + OTHER_WORDS, random, HEAD + QUESTION);
    const line = words.slice(0, params.cue + params.copied);
    const depth = random.pick(DEPTHS);
    const { haystackUnits, ...prompt } = fillHaystack('copying', order, {
      head: HEAD,
      units: wordLines(words.slice(line.length), line.length, createRandom(seed, 'copying lines', length, index)),
      needles: [{ text: line.join(' '), depth, isEvidence: true }],
      question: QUESTION,
      answerPrefix: line.slice(0, params.cue).join(' '),
    });
    const references = [line.slice(params.cue).join(' ')];
    return sampleOf({ ...prompt, references }, { depth, copied: params.copied, haystackUnits });
  },
});

const HEAD = 'Here are lines of words. You will be asked to copy one of them.\n';
const QUESTION = '\nCopy the line above that starts with these words.';
/** Enough that no line looks like another one. */
const OTHER_WORDS = 400;

const wordLines = (words: readonly string[], perLine: number, random: Random): HaystackUnits => {
  const lines: string[] = [];
  return {
    separator: '\n',
    unit: (index) => {
      while (lines.length <= index) lines.push(random.sample(words, perLine).join(' '));
      return lines[index]!;
    },
  };
};
