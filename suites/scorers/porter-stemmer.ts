/**
 * The stem of an English word by Porter's suffix rules (M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980) with the
 * changes that NLTK makes by default, which is what `rouge_score` uses: irregular words, short words in -ies and -ied, -y kept after
 * vowels, -alli before -bli, -fulli, -logi with its l in the stem, and two letters as a short syllable.
 *
 * The word: lower-case ASCII letters and digits; digits count as consonants. Words of up to two letters are their own stems.
 */
export const porterStem = (word: string): string => {
  const irregular = IRREGULAR.get(word);
  if (irregular !== undefined) return irregular;
  if (word.length <= 2) return word;
  const singular = word.length === 4 && word.endsWith('ies') ? word.slice(0, -1) : suffixed(word, PLURALS);
  const present = withoutTense(singular);
  const vocal = present.length > 2 && present.endsWith('y') && isConsonant(present, present.length - 2);
  const adverb = suffixed(doubleSuffix(vocal ? `${present.slice(0, -1)}i` : present), SUFFIXES_3);
  return withoutEnding(suffixed(adverb, SUFFIXES_4));
};

const IRREGULAR: ReadonlyMap<string, string> = new Map([
  ['skies', 'sky'],
  ['dying', 'die'],
  ['lying', 'lie'],
  ['tying', 'tie'],
  ['innings', 'inning'],
  ['outings', 'outing'],
  ['cannings', 'canning'],
  ...['sky', 'news', 'inning', 'outing', 'canning', 'howe', 'proceed', 'exceed', 'succeed'].map(
    (same) => [same, same] as const,
  ),
]);

/** Ending, what takes its place, and the least measure of the stem before it. The first ending that fits decides. */
type Rule = readonly [ending: string, instead: string, measure: number];

const rules = (measure: number, text: string): Rule[] =>
  text.split(' ').map((rule) => {
    const [ending = '', instead = ''] = rule.split('>');
    return [ending, instead, measure];
  });

const PLURALS = rules(0, 'sses>ss ies>i ss>ss s>');
const SUFFIXES_2 = rules(
  1,
  'ational>ate tional>tion enci>ence anci>ance izer>ize bli>ble alli>al entli>ent eli>e ousli>ous ization>ize ation>ate ator>ate ' +
    'alism>al iveness>ive fulness>ful ousness>ous aliti>al iviti>ive biliti>ble fulli>ful',
);
const SUFFIXES_3 = rules(1, 'icate>ic ative> alize>al iciti>ic ical>ic ful> ness>');
const SUFFIXES_4 = rules(
  2,
  'al> ance> ence> er> ic> able> ible> ant> ement> ment> ent> ion> ou> ism> ate> iti> ous> ive> ize>',
);

const suffixed = (word: string, list: readonly Rule[]): string => {
  for (const [ending, instead, measure] of list) {
    if (!word.endsWith(ending)) continue;
    const stem = word.slice(0, -ending.length);
    const fits = measureOf(stem) >= measure && (ending !== 'ion' || /[st]$/.test(stem));
    return fits ? stem + instead : word;
  }
  return word;
};

const doubleSuffix = (word: string): string => {
  if (word.endsWith('alli') && measureOf(word.slice(0, -4)) > 0) return doubleSuffix(word.slice(0, -2));
  // As NLTK has it: the l of -logi belongs to the stem that is measured.
  if (word.endsWith('logi')) return measureOf(word.slice(0, -3)) > 0 ? word.slice(0, -1) : word;
  return suffixed(word, SUFFIXES_2);
};

/** -eed, -ed, -ing, and the e or the single letter that the shortened word needs. */
const withoutTense = (word: string): string => {
  if (word.endsWith('ied')) return word.slice(0, word.length === 4 ? -1 : -2);
  if (word.endsWith('eed')) return measureOf(word.slice(0, -3)) > 0 ? word.slice(0, -1) : word;
  const stem = /^(.*)(?:ed|ing)$/.exec(word)?.[1];
  if (stem === undefined || !kinds(stem).includes('v')) return word;
  if (/(?:at|bl|iz)$/.test(stem)) return `${stem}e`;
  if (/(.)\1$/.test(stem) && isConsonant(stem, stem.length - 1)) return /[lsz]$/.test(stem) ? stem : stem.slice(0, -1);
  return measureOf(stem) === 1 && endsShort(stem) ? `${stem}e` : stem;
};

const withoutEnding = (word: string): string => {
  let rest = word;
  if (word.endsWith('e')) {
    const stem = word.slice(0, -1);
    const measure = measureOf(stem);
    if (measure > 1 || (measure === 1 && !endsShort(stem))) rest = stem;
  }
  return rest.endsWith('ll') && measureOf(rest.slice(0, -1)) > 1 ? rest.slice(0, -1) : rest;
};

/** One letter for each: c, consonant; v, vowel. A y after a consonant is a vowel. */
const kinds = (text: string): string => {
  let out = '';
  for (const letter of text) out += 'aeiou'.includes(letter) || (letter === 'y' && out.endsWith('c')) ? 'v' : 'c';
  return out;
};

const isConsonant = (text: string, at: number): boolean => kinds(text)[at] === 'c';

/** How often a vowel is followed by a consonant. */
const measureOf = (text: string): number => kinds(text).split('vc').length - 1;

/** Whether the word ends consonant, vowel, consonant other than w, x, y; or is a vowel and a consonant. */
const endsShort = (text: string): boolean => {
  const shape = kinds(text);
  return shape === 'vc' || (shape.endsWith('cvc') && !/[wxy]$/.test(text));
};
