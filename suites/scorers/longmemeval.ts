import type { Scorer } from '../contract.js';
import { normaliseAnswer, splitWords } from './normalise.js';
import { porterStem } from './porter-stemmer.js';

/**
 * LongMemEval without its judge: upstream asks a model whether an answer is right; these rules compare words, so that scores need no
 * model, are repeatable, and are not comparable with published ones.
 *
 * An answer is right when it holds all words of one wording of the reference but function words, by their stems and with numbers up to
 * twenty as digits. Wordings: what stands in brackets is left out, and `8 days is also acceptable` is one of its own.
 */
const FUNCTION_WORDS = new Set(
  'a an and are as at be been by did do does for from had has have he her his i in is it its me my of on or our she that the their they this to was we were with you your'.split(
    ' ',
  ),
);

const NUMBERS = new Map(
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty'
    .split(' ')
    .map((word, number) => [word, String(number)]),
);

const stemsOf = (text: string): string[] =>
  splitWords(normaliseAnswer(text.replace(/[-–—/]/g, ' '))).map((word) => NUMBERS.get(word) ?? porterStem(word));

const wordingsOf = (reference: string): string[][] =>
  reference
    .replace(/\([^)]*\)/g, ' ')
    .split(/(?<=[.;])\s+/)
    .map((sentence) => sentence.replace(/\b(?:is|are) also (?:acceptable|correct)\b|\balso acceptable\b/i, ' '))
    .map((sentence) => stemsOf(sentence).filter((word) => !FUNCTION_WORDS.has(word)))
    .filter((words) => words.length > 0);

const holdsAnswer = (prediction: string, references: readonly string[], near: (stem: string) => string[]): number => {
  const said = new Set(stemsOf(prediction));
  const isSaid = (stem: string): boolean => near(stem).some((one) => said.has(one));
  return Number(references.some((reference) => wordingsOf(reference).some((wording) => wording.every(isSaid))));
};

const answer: Scorer = (prediction, { references }) => holdsAnswer(prediction, references, (stem) => [stem]);

/** Counts of days, weeks and months may be off by one, as upstream tells its judge. */
const temporal: Scorer = (prediction, { references }) =>
  holdsAnswer(prediction, references, (stem) =>
    /^[0-9]{1,6}$/.test(stem) ? [-1, 0, 1].map((off) => String(Number(stem) + off)) : [stem],
  );

const SAYS_NOTHING =
  /\b(?:not|never|no) (?:\w+ )?(?:mention|mentioned|provide|provided|know|known|specify|specified|state|stated|say|said|discussed|have|enough|information|record|sure|able|answer|available)\b|\b(?:cannot|can['’]t|could ?n['’]t|unable to) (?:\w+ )?(?:answer|determine|find|tell|say)\b|\b(?:don|didn|doesn|haven|isn|wasn)['’]t (?:\w+ )?(?:mention|mentioned|know|have|say|said|provide|provided|specify|specified|tell|told|discuss|discussed)\b|\b(?:unanswerable|insufficient|incomplete|unknown)\b/i;

/** Unanswerable questions: right when the answer says that the history does not tell. */
const abstention: Scorer = (prediction) => Number(SAYS_NOTHING.test(prediction));

export const longMemEvalScorers: Readonly<Record<string, Scorer>> = { answer, temporal, abstention };

/** By the facts of the sample: `abstention`, `questionType`. */
export const longMemEval: Scorer = (prediction, sample) => {
  if (sample.meta.abstention === true) return abstention(prediction, sample);
  return (sample.meta.questionType === 'temporal-reasoning' ? temporal : answer)(prediction, sample);
};
