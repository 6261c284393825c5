import { WinnowError } from '../../core/errors.js';
import type { TextSpan } from '../../methods/contract.js';
import { pythonRandom } from './python-random.js';
import { bisectUnits, fittingPrompt, type RulerOrder, type RulerPrompt, rulerTokens } from './ruler-search.js';

/** A set as RULER's qa.py reads it: distinct paragraphs in the order of their code points, questions in the file's order. */
export interface RulerQaSet {
  readonly documents: readonly string[];
  readonly size: number;
  question(index: number): RulerQaQuestion;
}

/** Numbers are places in `documents`. */
export interface RulerQaQuestion {
  readonly question: string;
  readonly references: readonly string[];
  /** Shown always. */
  readonly own: readonly number[];
  /** Shown next: other paragraphs of the article. */
  readonly more: readonly number[];
  /** Ranges of documents that hold what the answer needs. */
  readonly evidence: ReadonlyMap<number, readonly TextSpan[]>;
}

export const rulerQaWording = {
  instruction:
    'Answer the question at the end from the following documents. Give only the answer and nothing else.\n\n',
  question: (asked: string): string => `\nQuestion: ${asked}`,
  answerPrefix: 'Answer:',
};

/** Distinct texts as Python sorts them: by code point, where UTF-16 puts U+E000 and up behind the pairs. */
export const sortedTexts = (texts: Iterable<string>): string[] => [...new Set(texts)].sort(byCodePoint);

const byCodePoint = (a: string, b: string): number => {
  const most = Math.min(a.length, b.length);
  for (let i = 0; i < most; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
};
const rank = (unit: number): number => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800);

const INCREMENT = 10;

/**
 * Question answering in the random stream of RULER's qa.py at c3f5e3b: sample i is question i of the set; the paragraphs beside its own are
 * drawn from one generator, which every probe of the length moves on, and then shuffled by a generator of the same seed, so that equal
 * numbers of paragraphs put the question's own at equal places. All paragraphs come again where the length holds more. Wording is ours.
 */
export function* rulerQa(
  set: RulerQaSet,
  order: RulerOrder,
): Generator<
  RulerPrompt & {
    readonly documents: readonly TextSpan[];
    readonly documentIds: readonly string[];
    readonly units: number;
  }
> {
  const random = pythonRandom(order.seed);
  const { maxTokens, count } = rulerTokens(order);

  const drawShown = ({ own, more }: RulerQaQuestion, units: number): number[] => {
    const total = set.documents.length;
    if (units >= total) return Array.from({ length: units }, (_, i) => i % total);
    if (units < own.length) throw tooShort(order, own.length);
    if (units - own.length <= more.length) return [...own, ...random.sample(more, units - own.length)];
    const taken = new Set([...own, ...more]);
    const others = set.documents.flatMap((_, i) => (taken.has(i) ? [] : [i]));
    return [...own, ...more, ...random.sample(others, Math.max(0, units - own.length - more.length))];
  };
  const make = (index: number, units: number) => {
    const asked = set.question(index);
    const shown = drawShown(asked, units);
    pythonRandom(order.seed).shuffle(shown);
    return { ...writePrompt(set, asked, shown), units };
  };
  const fits = (prompt: RulerPrompt): boolean => count(prompt) + order.maxNewTokens <= maxTokens;

  const perDocument = count(make(0, INCREMENT)) / INCREMENT;
  const most = Math.trunc((maxTokens / perDocument) * 3);
  const best = bisectUnits(INCREMENT, most, (units) => fits(make(0, units)));
  for (let index = 0; index < set.size; index++)
    yield fittingPrompt(order, best, INCREMENT, (units) => make(index, units), fits);
}

const writePrompt = (
  set: RulerQaSet,
  { question, references, evidence }: RulerQaQuestion,
  shown: readonly number[],
) => {
  const pieces: string[] = [];
  const documents: TextSpan[] = [];
  const spans: TextSpan[] = [];
  let at = rulerQaWording.instruction.length;
  shown.forEach((number, i) => {
    const heading = `Document ${i + 1}:\n`;
    const text = set.documents[number]!;
    const start = at + heading.length;
    for (const span of evidence.get(number) ?? []) spans.push({ start: start + span.start, end: start + span.end });
    documents.push({ start: at, end: start + text.length });
    pieces.push(heading + text);
    at = start + text.length + 2;
  });
  return {
    context: rulerQaWording.instruction + pieces.join('\n\n'),
    documents,
    documentIds: shown.map((_, i) => `Document ${i + 1}`),
    question: rulerQaWording.question(question),
    answerPrefix: rulerQaWording.answerPrefix,
    references,
    evidence: spans,
  };
};

/** Upstream draws a negative number of paragraphs here, fails, and tries again for ever. */
const tooShort = ({ task, length }: RulerOrder, own: number): WinnowError =>
  new WinnowError(
    'ERR_SUITE',
    `${task} with upstream's sampling`,
    `a length that holds the ${own} paragraphs of a question`,
    length,
    'Use a longer length or the independent sampling.',
  );
