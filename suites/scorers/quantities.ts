import type { Scorer } from '../contract.js';
import { isSubstringMatch } from './normalise.js';

const NUMBER_WORDS =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty'.split(
    ' ',
  );
const NUMBER = new RegExp(`\\d[\\d,]*|\\b(?:${NUMBER_WORDS.join('|')})\\b`, 'i');

const quantityIn = (text: string): number | undefined => {
  const found = NUMBER.exec(text)?.[0].toLowerCase();
  if (found === undefined) return undefined;
  const word = NUMBER_WORDS.indexOf(found);
  return word >= 0 ? word : Number(found.replaceAll(',', ''));
};

/** 1 when the first number of the prediction, in digits or as a word up to twenty, is a reference. */
export const firstNumber: Scorer = (prediction, { references }) => {
  const value = quantityIn(prediction);
  return value !== undefined && references.some((reference) => quantityIn(reference) === value) ? 1 : 0;
};

/** Share of the references (key strings of facts) that stand in the prediction after normalisation. */
export const factRecall: Scorer = (prediction, { references }) =>
  references.filter((reference) => isSubstringMatch(prediction, reference)).length / references.length;
