import type { Scorer } from '../contract.js';

/**
 * Scores a generation that writes numbered steps. References are `Step 3: …`, `Step 4: …`, in order.
 *
 * The first reference may have a higher number: the steps before it were given with the prompt.
 *
 * How a step is found, so that drift of the format costs nothing but drift of the content does: `Step 3:`, `**Step 3** -`, `step 3.` or
 * `3)` at the start of a line open step 3, which goes on to the next such mark; what stands before the first mark is the first step asked for (the
 * answer prefix opens it); the first text of a number counts. Without any mark, lines are steps in order. A step is right when its words and numbers
 * begin with those of the reference; case, marks and the words of FILLERS do not count.
 */
export const scoreSteps = (prediction: string, references: readonly string[]): number[] => {
  const wanted = references.map((reference) => [...parseSteps(reference, 0)][0] ?? ([0, reference] as const));
  const written = parseSteps(prediction, wanted[0]?.[0] ?? 1);
  return wanted.map(([step, body]) => {
    const due = contentOf(body);
    const found = contentOf(written.get(step) ?? '');
    return Number(due.length > 0 && due.every((word, place) => found[place] === word));
  });
};

/** The share of right steps. */
export const rightSteps: Scorer = (prediction, { references }) => {
  const scores = scoreSteps(prediction, references);
  return scores.length === 0 ? 0 : scores.reduce((sum, score) => sum + score, 0) / scores.length;
};

/** What a text says for each step number; lines in order, from `first` on, where it numbers nothing. */
export const parseSteps = (text: string, first: number): Map<number, string> => {
  const plain = text.replace(/[*_`#>]/g, ' ');
  const named = [...plain.matchAll(NAMED)];
  const marks = named.length > 0 ? named : [...plain.matchAll(NUMBERED)];
  const steps = new Map<number, string>();
  const put = (step: number, body: string): void => {
    if (body.trim() !== '' && !steps.has(step)) steps.set(step, body.trim());
  };
  if (marks.length === 0) {
    const lines = plain.split('\n').filter((line) => contentOf(line).length > 0);
    lines.forEach((line, i) => {
      put(first + i, line);
    });
    return steps;
  }
  const before = plain.slice(0, marks[0]!.index);
  if (Number(marks[0]![1]) !== first) put(first, before);
  marks.forEach((mark, i) => {
    put(Number(mark[1]), plain.slice(mark.index + mark[0].length, marks[i + 1]?.index ?? plain.length));
  });
  return steps;
};

/** `Step 3:` anywhere; the number's mark may be missing. */
const NAMED = /\bstep\s+(\d{1,5})\b\s*[:.)\-–—]*/gi;
/** `3.` or `3)` at the start of a line. */
const NUMBERED = /^\s*(?:-\s*)?(\d{1,5})[.):]\s/gm;

const FILLERS = new Set([
  'is',
  'are',
  'and',
  'the',
  'equals',
  'now',
  'to',
  'of',
  'in',
  'into',
  'bowl',
  'g',
  'gram',
  'grams',
]);

const contentOf = (text: string): string[] =>
  (text.toLowerCase().match(/[a-z]+|\d+/g) ?? []).filter((word) => !FILLERS.has(word));
