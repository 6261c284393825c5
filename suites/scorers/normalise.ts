/**
 * The text primitives that question-answering scorers share, as the SQuAD evaluation script defines them. Python's rules are kept
 * where JavaScript's differ: what white space is, and that word borders know all letters.
 */

/** White space of Python: beside JavaScript's also U+001C to U+001F and U+0085, but not U+FEFF. */
const SPACE = '[\t-\r\x1c- \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+';
const SPACES = new RegExp(SPACE, 'g');
const OUTER_SPACES = new RegExp(`^${SPACE}|${SPACE}$`, 'g');

/** As Python's str.strip(). */
export const strip = (text: string): string => text.replace(OUTER_SPACES, '');

/** Words between white space, as Python's str.split(). */
export const splitWords = (text: string): string[] => text.split(SPACES).filter((word) => word !== '');

/** Lower case, no ASCII punctuation, no articles, single spaces: in this order, so that `a.b` is one word and `the-end` is `theend`. */
export const normaliseAnswer = (text: string): string => {
  const bare = text.toLowerCase().replace(/[!-/:-@[-`{-~]/g, '');
  const withoutArticles = bare.replace(/(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu, ' ');
  return splitWords(withoutArticles).join(' ');
};

/** 2PR / (P + R) over the bags of words of two texts as they are; 0 when they share none. */
export const bagOfWordsF1 = (prediction: readonly string[], reference: readonly string[]): number => {
  const counts = new Map<string, number>();
  for (const word of reference) counts.set(word, (counts.get(word) ?? 0) + 1);
  let shared = 0;
  for (const word of prediction) {
    const left = counts.get(word) ?? 0;
    if (left === 0) continue;
    counts.set(word, left - 1);
    shared += 1;
  }
  if (shared === 0) return 0;
  const precision = shared / prediction.length;
  const recall = shared / reference.length;
  return (2 * precision * recall) / (precision + recall);
};

/** F1 of the normalised words; 0 when they share none. */
export const tokenF1 = (prediction: string, reference: string): number =>
  bagOfWordsF1(splitWords(normaliseAnswer(prediction)), splitWords(normaliseAnswer(reference)));

export const isExactMatch = (prediction: string, reference: string): boolean =>
  normaliseAnswer(prediction) === normaliseAnswer(reference);

/** Whether the normalised reference is part of the normalised prediction; a reference that normalises to nothing always is. */
export const isSubstringMatch = (prediction: string, reference: string): boolean =>
  normaliseAnswer(prediction).includes(normaliseAnswer(reference));
