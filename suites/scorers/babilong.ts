import type { Scorer } from '../contract.js';

const ROOMS = ['bathroom', 'bedroom', 'garden', 'hallway', 'kitchen', 'office'];
const YES_NO = ['no', 'yes'];

/** What each of the twenty tasks can be answered with (booydar/babilong, metrics.py). */
export const babilongLabels: Readonly<Record<string, readonly string[]>> = {
  qa1: ROOMS,
  qa2: ROOMS,
  qa3: ROOMS,
  qa4: ROOMS,
  qa5: ['bill', 'fred', 'jeff', 'mary', 'apple', 'football', 'milk'],
  qa6: YES_NO,
  qa7: ['none', 'one', 'three', 'two'],
  qa8: ['apple', 'football', 'milk', 'nothing'],
  qa9: YES_NO,
  qa10: ['maybe', 'no', 'yes'],
  qa11: ROOMS,
  qa12: ROOMS,
  qa13: ROOMS,
  qa14: ['bedroom', 'cinema', 'kitchen', 'office', 'park', 'school'],
  qa15: ['cat', 'mouse', 'sheep', 'wolf'],
  qa16: ['gray', 'green', 'white', 'yellow'],
  qa17: YES_NO,
  qa18: YES_NO,
  qa19: ['e,e', 'e,n', 'e,s', 'n,e', 'n,n', 'n,w', 's,e', 's,s', 's,w', 'w,n', 'w,s', 'w,w'],
  qa20: ['bedroom', 'bored', 'garden', 'hungry', 'kitchen', 'thirsty', 'tired'],
};

const firstSentence = (output: string): string =>
  output.toLowerCase().split('.')[0]!.split('<context>')[0]!.split('<example>')[0]!;

/** Whether a label stands in the output other than as a part of a longer label. */
const saysApart =
  (labels: readonly string[]) =>
  (output: string, label: string): boolean => {
    const longer = labels.filter((other) => other !== label && other.includes(label));
    return longer.reduce((text, other) => text.replaceAll(other, ' '), output).includes(label);
  };

/** 1 when the wanted label, or every one of a list (`apple,milk`), and no other label is in the first sentence; labels of the question never count. */
const compareAnswers =
  (labels: readonly string[], says: (output: string, label: string) => boolean): Scorer =>
  (prediction, { references, question }) => {
    const output = firstSentence(prediction);
    const asked = question.toLowerCase();
    const named = labels.filter((label) => says(output, label) && !asked.includes(label));
    return Number(
      references.some((reference) => {
        const target = reference.toLowerCase();
        // A pair of directions such as `n,w` is one label.
        const wanted = target.includes(',') && target.length > 3 ? target.split(',') : [target];
        return named.length === wanted.length && wanted.every((one) => named.includes(one));
      }),
    );
  };

export const babilongScorers: Readonly<Record<string, Scorer>> = Object.fromEntries(
  Object.entries(babilongLabels).map(([task, labels]) => [task, compareAnswers(labels, saysApart(labels))]),
);

/** Upstream's rule for qa7, by which no output is right where the answer is `none`: `one` is in it as well. */
export const babilongCountUpstream: Scorer = compareAnswers(babilongLabels.qa7!, (output, label) =>
  output.includes(label),
);
