import { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import { createRandom } from '../../core/random.js';
import { rulerFwe } from '../sampling/ruler-words.js';
import { fweWording } from './aggregation-wording.js';
import { defineTask, type SampleOrder, sampleOf } from './define-task.js';
import { fitUnits } from './fit-units.js';
import { rulerSource, Sampling } from './ruler.js';
import { spacedWords } from './word-lists.js';
import { zeta } from './zeta.js';

export interface FweParams {
  /** Exponent of the word frequencies: word k stands k^-alpha / zeta(alpha) of the time. */
  readonly alpha: number;
  readonly sampling: Sampling;
}

const CODE_LETTERS = 6;
/** Ranks 2 to 4; the most frequent "word" is a row of dots. */
const ANSWERS = 3;

/**
 * Frequent words, RULER (arXiv 2404.06654, section 3.3): a text of invented words whose frequencies fall as a power law, the most
 * frequent one replaced by dots; the answer is the next three.
 *
 * From upstream: frequencies, vocabulary size ⌊(length − answer) / 50⌋, dots. Ours: wording, an order drawn anew for every sample
 * (upstream shuffles all samples of a length alike), as many words as fit (upstream grows by a thirty-second of the length).
 */
export const fwe = defineTask<FweParams>({
  id: 'fwe',
  family: 'aggregation',
  description: 'The three most frequent invented words of a text.',
  source: rulerSource,
  version: 1,
  scorer: 'ruler/string_match_all',
  maxNewTokens: 50,
  parameters: z.strictObject({ alpha: z.number().min(1.1).max(5).default(2), sampling: Sampling }),
  makeSample,
  *upstream(order) {
    for (const { units, ...prompt } of rulerFwe(order.params.alpha, { task: 'fwe', ...order }))
      yield sampleOf(prompt, { alpha: order.params.alpha, haystackUnits: units });
  },
});

function makeSample({ params, length, maxNewTokens, seed, index, meter }: SampleOrder<FweParams>) {
  const random = createRandom(seed, 'fwe', length, index);
  const size = Math.max(ANSWERS + 2, Math.floor((length - maxNewTokens) / 50));
  const words = new Set<string>();
  while (words.size < size)
    words.add(Array.from({ length: CODE_LETTERS }, () => String.fromCharCode(97 + random.integer(0, 25))).join(''));
  const vocabulary = ['...', ...[...words].slice(1)];
  const scale = zeta(params.alpha);
  const references = vocabulary.slice(1, 1 + ANSWERS);

  const timesOf = (rank: number, total: number): number => Math.floor((total * (rank + 1) ** -params.alpha) / scale);
  const build = (total: number) => {
    const text = vocabulary.flatMap((word, i) => new Array<string>(timesOf(i, total)).fill(word));
    return spacedWords(createRandom(seed, 'fwe order', length, index).shuffle(text), references);
  };
  // A word of the text is one of ever fewer new ones; on average it costs what the vocabulary costs by frequency.
  const meanTokens = vocabulary.reduce(
    (sum, word, i) => sum + (meter.count(` ${word}`) * (i + 1) ** -params.alpha) / scale,
    0,
  );
  const count = fitUnits({
    task: 'fwe',
    length,
    maxNewTokens,
    promptTokens: (n) =>
      meter.countPrompt({
        context: fweWording.instruction + build(n).text,
        question: fweWording.question,
        answerPrefix: fweWording.answerPrefix,
      }),
    unitTokens: () => meanTokens,
  });
  const isTold = (total: number): boolean => timesOf(ANSWERS, total) > timesOf(ANSWERS + 1, total);
  if (!isTold(count)) {
    let least = count + 1;
    while (!isTold(least)) least++;
    throw new WinnowError(
      'ERR_SUITE',
      'fwe',
      `a length for ${least} words, from which on the third answer is more frequent than all that are none`,
      `${length} tokens, which hold ${count}`,
      'Use a longer length or an alpha nearer to 2.',
    );
  }
  const { text, places } = build(count);
  return {
    context: fweWording.instruction + text,
    documents: [],
    question: fweWording.question,
    answerPrefix: fweWording.answerPrefix,
    references,
    evidence: places.map(({ start, end }) => ({
      start: start + fweWording.instruction.length,
      end: end + fweWording.instruction.length,
    })),
    stop: [],
    meta: { alpha: params.alpha, haystackUnits: count },
  };
}
