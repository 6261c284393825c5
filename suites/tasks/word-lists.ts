/** Lists of words as text, and where some of the words stand in it. */
import type { Random } from '../../core/random.js';
import { ADJECTIVES, NOUNS } from '../../datasets/words.js';
import type { TextSpan } from '../../methods/contract.js';

export interface WordList {
  readonly text: string;
  /** UTF-16 ranges of the wanted words, `offset` added. */
  readonly places: readonly TextSpan[];
}

/** `before(i)` stands before word i. */
const listed = (
  words: readonly string[],
  wanted: readonly string[],
  offset: number,
  before: (index: number) => string,
): WordList => {
  const isWanted = new Set(wanted);
  const places: TextSpan[] = [];
  let text = '';
  words.forEach((word, i) => {
    text += before(i);
    if (isWanted.has(word)) places.push({ start: offset + text.length, end: offset + text.length + word.length });
    text += word;
  });
  return { text, places };
};

/** `1. word 2. word …` */
export const numberedWords = (words: readonly string[], wanted: readonly string[], offset = 0): WordList =>
  listed(words, wanted, offset, (i) => `${i === 0 ? '' : ' '}${i + 1}. `);

/** Words with a space between. */
export const spacedWords = (words: readonly string[], wanted: readonly string[], offset = 0): WordList =>
  listed(words, wanted, offset, (i) => (i === 0 ? '' : ' '));

let pairs: readonly string[] | undefined;
/** Every `adjective-noun`, sorted; made when first asked for. */
export const wordPairs = (): readonly string[] => {
  pairs ??= [...new Set(ADJECTIVES.flatMap((adjective) => NOUNS.map((noun) => `${adjective}-${noun}`)))].sort();
  return pairs;
};

/** `count` different plain words, none of which holds another one or stands in `wording`. About 1 280 can be had. */
export const wordsApart = (count: number, random: Random, wording = ''): string[] => {
  const text = wording.toLowerCase();
  const taken: string[] = [];
  for (const word of random.shuffle(PLAIN_WORDS)) {
    if (taken.length === count) break;
    // `hat` is a part of `that`.
    if (!text.includes(word) && !taken.some((other) => other.includes(word) || word.includes(other))) taken.push(word);
  }
  if (taken.length < count) throw new RangeError(`wordsApart: ${count} words asked of ${taken.length}`);
  return taken;
};

const PLAIN_WORDS: readonly string[] = [...new Set([...ADJECTIVES, ...NOUNS])];
