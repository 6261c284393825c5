import { z } from 'zod';
import { createRandom } from '../../core/random.js';
import { NOUNS } from '../../datasets/words.js';
import { defineTask, sampleOf } from './define-task.js';
import { fillHaystack } from './fill-haystack.js';
import { type Haystack, HaystackParameter, openHaystack } from './haystack.js';
import type { Needle } from './insert-needles.js';

export interface ListRecallParams {
  readonly words: number;
  /** What the text has at the place of the list: the list itself, its words in another order, or other words. */
  readonly first: 'same' | 'permuted' | 'other';
  /** Percent of the text before the list. */
  readonly depth: number;
  readonly haystack: Haystack;
}

/**
 * Verbatim recall of a list by surprisal (arXiv 2210.13569): a text holds a list of nouns; at its end the list is read again, and the
 * probability that the model gives to the second reading tells how much of the first one it still has. Nothing is generated, so that the
 * measure is smooth where generated answers are all wrong or all right.
 *
 * From upstream: the narrative around the lists, nouns, three conditions (`permuted` has the words but not their order, `other` neither).
 * The reduction of surprisal is the difference of log-probabilities between `same` and `other`. Ours: wording, words, prose between.
 */
export const listRecall = defineTask<ListRecallParams>({
  id: 'list_recall',
  family: 'recall',
  description: 'The probability of a list of nouns that the text held before, read again at its end.',
  source: {
    title: 'Characterizing Verbatim Short-Term Memory in Neural Language Models',
    arxiv: '2210.13569',
    url: 'https://github.com/KristijanArmeni/verbatim-memory-in-NLMs',
    licence: 'generated here',
  },
  version: 1,
  scorer: 'words-in-order',
  maxNewTokens: 48,
  parameters: z.strictObject({
    words: z.int().min(2).max(40).default(10),
    first: z.enum(['same', 'permuted', 'other']).default('same'),
    depth: z.number().min(0).max(100).default(20),
    haystack: HaystackParameter.default('essay'),
  }),
  makeSample(order) {
    const { params, length, seed, index } = order;
    const random = createRandom(seed, 'list_recall', length, index);
    const nouns = random.sample(NOUNS, NOUNS.length);
    const list = nouns.slice(0, params.words);
    const first = {
      same: list,
      permuted: permuted(list, () => random.shuffle(list)),
      other: nouns.slice(params.words, 2 * params.words),
    }[params.first];
    const needle: Needle = {
      text: `Mary wrote down a list of words: ${first.join(', ')}.`,
      depth: params.depth,
      isEvidence: true,
    };
    const { haystackUnits, ...prompt } = fillHaystack('list_recall', order, {
      head: 'The following text tells, among other things, of a list that Mary wrote.\n',
      units: openHaystack(params.haystack, [seed, 'list_recall', length, index], order.datasets),
      needles: [needle],
      question: '\nAfter the text, Mary read the same list again.',
      answerPrefix: 'Mary read the list of words again:',
    });
    const text = list.join(', ');
    const meta = { words: params.words, first: params.first, depth: params.depth, haystackUnits };
    return { ...sampleOf({ ...prompt, references: [text] }, meta), continuation: ` ${text}.` };
  },
});

/** An order in which the list does not stand as it was. */
const permuted = (list: readonly string[], shuffle: () => string[]): string[] => {
  for (;;) {
    const other = shuffle();
    if (other.some((word, i) => word !== list[i])) return other;
  }
};
