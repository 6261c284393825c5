import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import { defineTask, sampleOf } from './define-task.js';
import { fillHaystack } from './fill-haystack.js';
import type { HaystackUnits } from './haystack.js';
import { DEPTHS } from './insert-needles.js';
import { wordsApart } from './word-lists.js';

export interface CopyingParams {
  /** Words to copy. */
  readonly copied: number;
}

/**
 * Copying by induction (arXiv 2209.11895): lines of random words, each with a word in front that names it; one is to be copied. It needs
 * nothing but the attention pattern "find where this stood, take what followed", for as long as the copy lasts.
 *
 * Ours: the line to copy has words of its own, so that each of them tells the next; the other lines draw from the words that it has not,
 * and their names are drawn anew for each. Scored by the words before the first slip.
 */
export const copying = defineTask<CopyingParams>({
  id: 'copying',
  family: 'recall',
  description: 'The words of one line among lines of random words, by the word that names it.',
  source: {
    title: 'In-context Learning and Induction Heads',
    arxiv: '2209.11895',
    licence: 'generated here',
  },
  version: 1,
  scorer: 'words-in-order',
  maxNewTokens: 32,
  parameters: z.strictObject({ copied: z.int().min(1).max(32).default(4) }),
  makeSample(order) {
    const { params, length, seed, index } = order;
    const random = createRandom(seed, 'copying', length, index);
    const words = wordsApart(1 + params.copied + OTHER_WORDS, random, HEAD + QUESTION);
    const [name, ...line] = words.splice(0, 1 + params.copied) as [string, ...string[]];
    const depth = random.pick(DEPTHS);
    const text = line.join(' ');
    const { haystackUnits, ...prompt } = fillHaystack('copying', order, {
      head: HEAD,
      units: otherLines(words, params.copied, createRandom(seed, 'copying lines', length, index)),
      needles: [{ text: `${name}: ${text}`, depth, isEvidence: true }],
      question: `${QUESTION} "${name}".`,
      answerPrefix: `${name}:`,
    });
    return sampleOf({ ...prompt, references: [text] }, { depth, copied: params.copied, haystackUnits });
  },
});

const HEAD = 'Here are lines of words. The first word of each is its name. You will be asked to copy one of them.\n';
const QUESTION = '\nCopy the line above whose name is';
/** Enough that no line looks like another one. */
const OTHER_WORDS = 400;

const otherLines = (words: readonly string[], perLine: number, random: Random): HaystackUnits => {
  const lines: string[] = [];
  return {
    separator: '\n',
    unit: (index) => {
      while (lines.length <= index) {
        const [name, ...line] = random.sample(words, 1 + perLine);
        lines.push(`${name}: ${line.join(' ')}`);
      }
      return lines[index]!;
    },
  };
};
