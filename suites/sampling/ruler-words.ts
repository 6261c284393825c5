import { ADJECTIVES, NOUNS } from '../../datasets/words.js';
import { cweWording, fweWording } from '../tasks/aggregation-wording.js';
import { numberedWords, spacedWords, wordPairs } from '../tasks/word-lists.js';
import { zeta } from '../tasks/zeta.js';
import { type PythonRandom, pythonRandom } from './python-random.js';
import { bisectUnits, fittingPrompt, type RulerOrder, type RulerPrompt, rulerTokens } from './ruler-search.js';

export interface RulerCwe {
  readonly commonWords: number;
  readonly commonRepeats: number;
  readonly otherRepeats: number;
}

/**
 * Common words in the random stream of RULER's common_words_extraction.py at c3f5e3b: the example may share words with the list, and all
 * lists of one size are shuffled alike. Wording and word lists are ours: plain words, or pairs of words for lists longer than these.
 */
export function* rulerCwe(params: RulerCwe, order: RulerOrder): Generator<RulerPrompt & { readonly units: number }> {
  const random = pythonRandom(order.seed);
  const { maxTokens, count } = rulerTokens(order);
  const plain = [...new Set([...NOUNS, ...ADJECTIVES])].sort();
  pythonRandom(order.seed).shuffle(plain);
  const wording = cweWording(params.commonWords);
  const isLong = order.length >= 4096;

  const list = (words: number, common: number, other: number) => {
    const drawn = random.sample(words <= plain.length ? plain : wordPairs(), words);
    const wanted = drawn.slice(0, params.commonWords);
    const repeated = (some: readonly string[], times: number): string[] =>
      Array.from({ length: times }, () => some).flat();
    const all = [...repeated(wanted, common), ...repeated(drawn.slice(params.commonWords), other)];
    pythonRandom(order.seed).shuffle(all);
    return { wanted, all };
  };
  const make = (units: number) => {
    const solved = isLong ? list(40, 10, 3) : list(20, 3, 1);
    const answer = solved.wanted.map((word, i) => `${i + 1}. ${word}`).join(' ');
    const example = `${wording.instruction}${numberedWords(solved.all, []).text}${wording.question} ${wording.answerPrefix} ${answer}`;
    const { wanted, all } = isLong ? list(units, params.commonRepeats, params.otherRepeats) : list(units, 6, 1);
    const head = `${example}\n${wording.instruction}`;
    const { text, places } = numberedWords(all, wanted, head.length);
    return { ...wording, context: head + text, references: wanted, evidence: places, units };
  };

  const perWord = count(make(4096)) / 4096;
  const fits = (prompt: RulerPrompt): boolean => count(prompt) + order.maxNewTokens <= maxTokens;
  const best = bisectUnits(10, Math.floor(maxTokens / perWord) * 2, (units) => fits(make(units)));
  for (;;) yield fittingPrompt(order, best, 10, make, fits);
}

/**
 * Frequent words in the random stream of RULER's freq_words_extraction.py at c3f5e3b: a new vocabulary for every sample, ranks shuffled
 * alike, and as many words as fit in steps of a thirty-second of the length. Wording is ours.
 */
export function* rulerFwe(alpha: number, order: RulerOrder): Generator<RulerPrompt & { readonly units: number }> {
  const random = pythonRandom(order.seed);
  const tokens = rulerTokens(order);
  const maxTokens = tokens.maxTokens - order.maxNewTokens;
  const size = Math.floor(maxTokens / 50);
  const step = Math.floor(maxTokens / 32);
  const scale = zeta(alpha);
  const tooLong = (prompt: RulerPrompt): boolean => tokens.count(prompt) > maxTokens;

  const text = (vocabulary: readonly string[], units: number) => {
    const words = vocabulary.flatMap((word, i) =>
      new Array<string>(Math.trunc((units * (i + 1) ** -alpha) / scale)).fill(word),
    );
    pythonRandom(order.seed).shuffle(words);
    const references = vocabulary.slice(1, 4);
    const { instruction } = fweWording;
    const { text: list, places } = spacedWords(words, references, instruction.length);
    return { ...fweWording, context: instruction + list, references, evidence: places, units };
  };

  const first = drawVocabulary(random, order.seed, size);
  let units = Math.floor(maxTokens / 6);
  while (tokens.count(text(first, units)) < maxTokens) units += step;
  units -= step;
  for (;;) {
    const vocabulary = drawVocabulary(random, order.seed, size);
    let used = units;
    while (used > 0 && tooLong(text(vocabulary, used))) used -= step;
    yield text(vocabulary, used);
  }
}

const CODE = [...'abcdefghijklmnopqrstuvwxyz'];

const drawVocabulary = (random: PythonRandom, seed: number, size: number): string[] => {
  const words = Array.from({ length: size }, () => random.choices(CODE, 6).join(''));
  while (new Set(words).size < size) words.push(random.choices(CODE, 6).join(''));
  const vocabulary = [...new Set(words)].sort();
  pythonRandom(seed).shuffle(vocabulary);
  vocabulary[0] = '...';
  return vocabulary;
};
