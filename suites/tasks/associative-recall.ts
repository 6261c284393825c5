import { z } from 'zod';
import { createRandom } from '../../core/random.js';
import { NOISE_LINE } from '../../datasets/noise.js';
import { defineTask, sampleOf } from './define-task.js';
import { fillHaystack } from './fill-haystack.js';
import { openHaystack } from './haystack.js';
import type { Needle } from './insert-needles.js';
import { wordsApart } from './word-lists.js';

export interface MqarParams {
  /** Pairs in the text; sample i has entry i modulo their number, which gives a capacity curve. */
  readonly pairs: readonly number[];
  /** Keys asked for in one question; all pairs when there are fewer. */
  readonly queries: number;
}

const MOST_PAIRS = 512;

/**
 * Associative recall with many pairs (MQAR; Zoology, arXiv 2312.04927, section 3): words are paired with words and spread over noise; the
 * values of some keys are asked for. The score over the number of pairs shows how many a cache still holds.
 *
 * Ours: pairs are lines of plain words instead of trained tokens, keys are asked in one question instead of at every later place. No
 * word is in two pairs, holds another one or stands in the noise. Chance: one in `pairs` for each key.
 */
export const mqar = defineTask<MqarParams>({
  id: 'mqar',
  family: 'recall',
  description:
    'The words that some of many words are paired with, between lines of noise; the number of pairs in turn.',
  source: {
    title: 'Zoology: Measuring and Improving Recall in Efficient Language Models',
    arxiv: '2312.04927',
    url: 'https://github.com/HazyResearch/zoology',
    licence: 'generated here (upstream: Apache-2.0)',
  },
  version: 1,
  scorer: 'ruler/string_match_all',
  maxNewTokens: 32,
  // Whoever names one of the words that stand in the text is right for one key in so many.
  chance: ({ pairs }) => pairs.reduce((sum, count) => sum + 1 / count, 0) / pairs.length,
  parameters: z.strictObject({
    pairs: z.array(z.int().min(2).max(MOST_PAIRS)).min(1).default([4, 8, 16, 32]),
    queries: z.int().min(1).max(32).default(1),
  }),
  makeSample(order) {
    const { params, length, seed, index } = order;
    const random = createRandom(seed, 'mqar', length, index);
    const count = params.pairs[index % params.pairs.length]!;
    const words = wordsApart(2 * count, random, `${HEAD}${NOISE_LINE}${asking([]).question}${asking([]).answerPrefix}`);
    const pairs = Array.from({ length: count }, (_, i) => ({ key: words[2 * i]!, value: words[2 * i + 1]! }));
    const asked = random.sample(pairs, Math.min(params.queries, count));
    const needles = pairs.map(
      (pair): Needle => ({
        text: `${pair.key}: ${pair.value}`,
        depth: 100 * random.float(),
        isEvidence: asked.includes(pair),
      }),
    );
    const { haystackUnits, ...prompt } = fillHaystack('mqar', order, {
      head: HEAD,
      units: openHaystack('noise'),
      needles,
      ...asking(asked.map(({ key }) => key)),
    });
    const references = asked.map(({ value }) => value);
    return sampleOf({ ...prompt, references }, { pairs: count, queries: asked.length, haystackUnits });
  },
});

const HEAD = 'Some lines below pair one word with another. Remember the pairs: you will be asked for them.\n';

const asking = (keys: readonly string[]) =>
  keys.length === 1
    ? { question: `\nWhich word is paired with "${keys[0]}" above?`, answerPrefix: `${keys[0]}:` }
    : {
        question: `\nWhich words are paired with each of these above, in the same order: ${keys.join(', ')}?`,
        answerPrefix: 'In the same order:',
      };
