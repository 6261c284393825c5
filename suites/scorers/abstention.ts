import type { Scorer } from '../contract.js';
import { exactMatch, firstNamed, substringMatch } from './answer-match.js';
import { normaliseAnswer } from './normalise.js';

/** What an instruction asks for where there is no answer, and the reference of such a question. */
export const ABSTENTION = 'not stated';

/** What counts as saying that there is no answer, after normalisation (lower case, no punctuation, no articles). */
export const ABSTENTION_PHRASES: readonly string[] = [
  ABSTENTION,
  'not mentioned',
  'not specified',
  'not explicitly mentioned',
  'not explicitly stated',
  'not provided',
  'not given',
  'not available',
  'not known',
  'not answerable',
  'not in documents',
  'not found',
  'no answer',
  'no information',
  'insufficient information',
  'not enough information',
  'unanswerable',
  'unknown',
  'cannot be answered',
  'cannot be determined',
  'cannot answer',
  'cannot determine',
  'can not be determined',
  'do not say',
  'does not say',
  'do not state',
  'does not state',
  'do not mention',
  'does not mention',
  'do not provide',
  'does not provide',
  'do not contain',
  'does not contain',
  'dont know',
  'do not know',
  'never mentioned',
  'never said',
  'never told',
  'havent told',
  'have not told',
  'did not mention',
  'didnt mention',
];

const PHRASES = new RegExp(`\\b(?:${ABSTENTION_PHRASES.join('|')})\\b`);

/** Whether a prediction says that there is no answer. An empty one says nothing. */
export const abstains = (prediction: string): boolean => PHRASES.test(normaliseAnswer(prediction));

const isUnanswerable = (references: readonly string[]): boolean => references.some(abstains);

/** 1 when the prediction abstains from a question without an answer, or does not abstain (and is not empty) where there is one. */
export const abstention: Scorer = (prediction, { references }) =>
  normaliseAnswer(prediction) !== '' && abstains(prediction) === isUnanswerable(references) ? 1 : 0;

/** `answer` where there is an answer, unless the prediction abstains as well; abstention where there is none. */
const orAbstain =
  (answer: Scorer): Scorer =>
  (prediction, sample) => {
    if (isUnanswerable(sample.references)) return abstention(prediction, sample);
    return abstains(prediction) ? 0 : answer(prediction, sample);
  };

export const answerOrAbstain: Scorer = orAbstain(substringMatch);
export const firstNamedOrAbstain: Scorer = orAbstain(firstNamed);
export const exactOrAbstain: Scorer = orAbstain(exactMatch);
