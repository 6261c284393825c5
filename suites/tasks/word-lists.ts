/** Lists of words as text, and where some of the words stand in it. */
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
