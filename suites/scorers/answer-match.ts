import type { Scorer } from '../contract.js';
import { isExactMatch, isSubstringMatch, normaliseAnswer, tokenF1 } from './normalise.js';

/** 1 when any reference equals the prediction after normalisation. */
export const exactMatch: Scorer = (prediction, { references }) =>
  references.some((reference) => isExactMatch(prediction, reference)) ? 1 : 0;

/** 1 when any reference is part of the prediction after normalisation. */
export const substringMatch: Scorer = (prediction, { references }) =>
  references.some((reference) => isSubstringMatch(prediction, reference)) ? 1 : 0;

/** SQuAD F1, best over the references. A side without words (no answer) scores by equality, as in the SQuAD 2.0 script. */
export const squadF1: Scorer = (prediction, { references }) =>
  Math.max(
    ...references.map((reference) => {
      const isEmpty = normaliseAnswer(prediction) === '' || normaliseAnswer(reference) === '';
      return isEmpty ? Number(isExactMatch(prediction, reference)) : tokenF1(prediction, reference);
    }),
  );

/** F1 of the normalised words, best over the references; 0 where nothing is shared, even for two empty sides (LongBench, InfiniteBench). */
export const bestTokenF1: Scorer = (prediction, { references }) =>
  Math.max(0, ...references.map((reference) => tokenF1(prediction, reference)));

/** The candidate (`classes`) that the prediction names first, after normalisation. */
const nameFirst = (prediction: string, classes: readonly string[]): string | undefined => {
  const text = normaliseAnswer(prediction);
  return classes
    .map((name) => ({ name, at: text.indexOf(normaliseAnswer(name)) }))
    .filter(({ at }) => at >= 0)
    .sort((a, b) => a.at - b.at || b.name.length - a.name.length)[0]?.name;
};

/** 1 when the first of the candidates (`classes`) that the prediction names is a reference. */
export const firstNamed: Scorer = (prediction, { references, classes = [] }) => {
  const named = nameFirst(prediction, classes);
  return named !== undefined && references.includes(named) ? 1 : 0;
};

/** 1 when it is none: of a context against prior knowledge, an answer from memory. */
export const priorAnswer: Scorer = (prediction, { references, classes = [] }) => {
  const named = nameFirst(prediction, classes);
  return named !== undefined && !references.includes(named) ? 1 : 0;
};
