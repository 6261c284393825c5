import { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import { createRandom, type Random } from '../../core/random.js';
import { ADJECTIVES, NOUNS } from '../../datasets/words.js';
import { rulerCwe } from '../sampling/ruler-words.js';
import { cweWording } from './aggregation-wording.js';
import { defineTask, type SampleOrder, sampleOf } from './define-task.js';
import { fitUnits } from './fit-units.js';
import { rulerSource, Sampling } from './ruler.js';
import { numberedWords } from './word-lists.js';

export interface CweParams {
  readonly commonWords: number;
  /** How often a common word stands in the list; 30 from 4 096 tokens on, else 6 unless given. */
  readonly commonRepeats?: number | undefined;
  /** How often any other word does; 3 from 4 096 tokens on, else 1 unless given. */
  readonly otherRepeats?: number | undefined;
  readonly sampling: Sampling;
}

/**
 * Common words, RULER (arXiv 2404.06654, section 3.3): a numbered list in which ten words stand more often than all others; the answer
 * is these ten. One solved example comes first.
 *
 * From upstream: repeats, the numbered list, the example of 40 words (20 below 4 096 tokens). Ours: wording, word list (pairs such as
 * `brave-otter` once the plain words run out), an order drawn anew for every sample (upstream shuffles each list of one length alike),
 * no word that is a part of a common one or holds it, no word of the example in the list.
 */
export const cwe = defineTask<CweParams>({
  id: 'cwe',
  family: 'aggregation',
  description: 'The ten words that stand most often in a numbered list, after one solved example.',
  source: rulerSource,
  version: 1,
  scorer: 'ruler/string_match_all',
  maxNewTokens: 120,
  parameters: z.strictObject({
    commonWords: z.int().min(1).max(20).default(10),
    commonRepeats: z.int().min(2).optional(),
    otherRepeats: z.int().min(1).optional(),
    sampling: Sampling,
  }),
  makeSample,
  *upstream(order) {
    const { commonWords, commonRepeats = 30, otherRepeats = 3 } = order.params;
    checkRepeats(commonRepeats, otherRepeats);
    for (const { units, ...prompt } of rulerCwe(
      { commonWords, commonRepeats, otherRepeats },
      { task: 'cwe', ...order },
    ))
      yield sampleOf(prompt, { commonRepeats, otherRepeats, haystackUnits: units });
  },
});

const WORDS = [...new Set([...ADJECTIVES, ...NOUNS])];
function makeSample({ params, length, maxNewTokens, seed, index, meter }: SampleOrder<CweParams>) {
  const random = createRandom(seed, 'cwe', length, index);
  const isLong = length >= 4096;
  const commonRepeats = params.commonRepeats ?? (isLong ? 30 : 6);
  const otherRepeats = params.otherRepeats ?? (isLong ? 3 : 1);
  checkRepeats(commonRepeats, otherRepeats);
  const { instruction, question, answerPrefix } = cweWording(params.commonWords);

  const words = wordSource(random, instruction + question + answerPrefix);
  const common = words.take(params.commonWords, []);
  const solved = words.take(params.commonWords, common);
  const solvedOthers = words.take((isLong ? 40 : 20) - params.commonWords, [...common, ...solved]);
  const example = repeatedList(
    solved,
    solvedOthers,
    isLong ? 10 : 3,
    isLong ? 3 : 1,
    createRandom(seed, 'cwe example', length, index),
  );
  const answer = solved.map((word, i) => `${i + 1}. ${word}`).join(' ');
  const head = `${instruction}${example.text}${question}\n${answerPrefix} ${answer}\n\n${instruction}`;

  const others: string[] = [];
  const build = (count: number) => {
    others.push(...words.take(Math.max(0, count - others.length), common));
    const order = createRandom(seed, 'cwe order', length, index);
    return repeatedList(common, others.slice(0, count), commonRepeats, otherRepeats, order);
  };
  const count = fitUnits({
    task: 'cwe',
    length,
    maxNewTokens,
    promptTokens: (n) => meter.countPrompt({ context: head + build(n).text, question, answerPrefix }),
    unitTokens: (i) => {
      others.push(...words.take(Math.max(0, i + 1 - others.length), common));
      return otherRepeats * meter.count(` ${10 * (i + 1)}. ${others[i]}`);
    },
  });
  const { text, places } = build(count);
  return {
    context: head + text,
    documents: [],
    question,
    answerPrefix,
    references: common,
    evidence: places.map(({ start, end }) => ({ start: start + head.length, end: end + head.length })),
    stop: [],
    meta: { commonRepeats, otherRepeats, haystackUnits: count },
  };
}

/** Defaults depend on the length, so that parameters alone do not tell. */
const checkRepeats = (commonRepeats: number, otherRepeats: number): void => {
  if (otherRepeats < commonRepeats) return;
  const expected = `fewer than commonRepeats, ${commonRepeats}`;
  throw new WinnowError('ERR_SUITE', 'cwe otherRepeats', expected, otherRepeats, 'The common words are the answer.');
};

/** Every word as often as it should be, in random order; `places` are those of the common words. */
const repeatedList = (
  common: readonly string[],
  others: readonly string[],
  commonRepeats: number,
  otherRepeats: number,
  random: Random,
) => {
  const repeated = (words: readonly string[], times: number): string[] =>
    words.flatMap((word) => new Array<string>(times).fill(word));
  return numberedWords(random.shuffle([...repeated(common, commonRepeats), ...repeated(others, otherRepeats)]), common);
};

/** Words in random order, none twice and none that stands in `wording`; pairs of words once all have been given out. */
const wordSource = (random: Random, wording: string) => {
  // `hat` is a part of `that`.
  const plain = random.shuffle(WORDS).filter((word) => !wording.includes(word));
  const given = new Set<string>();
  const next = (): string => plain.pop() ?? `${random.pick(ADJECTIVES)}-${random.pick(NOUNS)}`;
  return {
    /** The next `count` words that neither hold one of `apart` or of one another, if `apart` is empty, nor are a part of one. */
    take: (count: number, apart: readonly string[]): string[] => {
      const taken: string[] = [];
      while (taken.length < count) {
        const word = next();
        const against = apart.length === 0 ? taken : apart;
        if (given.has(word) || against.some((other) => other.includes(word) || word.includes(other))) continue;
        given.add(word);
        taken.push(word);
      }
      return taken;
    },
  };
};
