/** A question with its paragraphs, whichever set it comes from, and the sample that is made of it. */
import type { Random } from '../../core/random.js';
import { createRandom } from '../../core/random.js';
import type { Sample } from '../contract.js';
import { normaliseAnswer } from '../scorers/normalise.js';
import type { MadeSample, SampleOrder } from './define-task.js';
import type { LayoutParams, ShownDocument } from './world-layout.js';
import { type NeededDocument, worldSample } from './world-sample.js';

export interface QuestionRecord {
  readonly question: string;
  /** The answer and its other names. */
  readonly references: readonly string[];
  /** Paragraphs that the answer needs, in the order in which the set lists its steps. */
  readonly needed: readonly NeededDocument[];
  /** The other paragraphs that the set gives with the question. */
  readonly own: readonly ShownDocument[];
  readonly meta: Sample['meta'];
}

export interface QuestionPlan extends QuestionRecord {
  readonly instruction: string;
  /** More paragraphs to fill the length with: those of other questions, one list after the other until it is undefined. */
  more(list: number): readonly ShownDocument[] | undefined;
  /** Most paragraphs beside the needed ones. */
  readonly most?: number;
  readonly stop?: readonly string[];
}

/**
 * Puts the paragraphs of a question into a context of the length: needed ones always, then its own others, then those of other questions,
 * which share no title with it and hold none of its answers. When there are no more, they come again (RULER's rule), and `meta` says so.
 */
export const questionSample = (
  task: string,
  order: SampleOrder<LayoutParams>,
  { own, more, instruction, most, stop, ...record }: QuestionPlan,
): MadeSample => {
  const { params, length, seed, index } = order;
  const random = createRandom(seed, task, length, index);
  const withOwn = params.context === 'gold-and-related' ? own : [];
  const { filler, distinct, isEmpty } = fillers(record, own, more);
  const sample = worldSample(
    order,
    task,
    params,
    {
      instruction,
      question: record.question,
      answerPrefix: 'Answer:',
      references: record.references,
      needed: record.needed,
      related: withOwn,
      filler,
      ...(isEmpty ? { most: 0 } : most === undefined ? {} : { most }),
      meta: { ...record.meta, needed: record.needed.length },
    },
    random,
  );
  const repeated = (sample.meta.haystackUnits as number) > distinct();
  return { ...sample, stop: stop ?? [], meta: { ...sample.meta, ...(repeated ? { repeatedDocuments: true } : {}) } };
};

/** Paragraph i beside the needed ones, and how many different ones there are once they have run out. */
const fillers = (
  { needed, references }: Pick<QuestionRecord, 'needed' | 'references'>,
  own: readonly ShownDocument[],
  more: QuestionPlan['more'],
) => {
  const found: ShownDocument[] = [...own];
  const keys = new Set([...needed, ...own].map(({ about }) => about));
  const answers = references.map(normaliseAnswer).filter((answer) => answer.length >= shortestTellingAnswer);
  const isFit = (document: ShownDocument): boolean => {
    if (keys.has(document.about)) return false;
    const text = ` ${normaliseAnswer(document.text)} `;
    return !answers.some((answer) => text.includes(` ${answer} `));
  };
  let list = 0;
  let isOver = false;
  const filler = (index: number): ShownDocument => {
    while (found.length <= index && !isOver) {
      const next = more(list++);
      isOver = next === undefined;
      for (const document of next ?? []) {
        if (!isFit(document)) continue;
        keys.add(document.about);
        found.push(document);
      }
    }
    return found[index % found.length]!;
  };
  filler(0);
  return { filler, isEmpty: found.length === 0, distinct: () => (isOver ? found.length : Number.POSITIVE_INFINITY) };
};

/** `yes`, `no` and single letters stand in any text. */
const shortestTellingAnswer = 4;

/** Lists of paragraphs of other records, in an order of the sample's own. */
export const otherRecords = (
  size: number,
  own: number,
  random: Random,
  documentsOf: (index: number) => readonly ShownDocument[],
): QuestionPlan['more'] => {
  const drawn = new Set([own]);
  return () => {
    // Rejection is quick while most records are left; then the rest comes in order.
    for (let tries = 0; tries < 20; tries++) {
      const index = random.integer(0, size - 1);
      if (drawn.has(index)) continue;
      drawn.add(index);
      return documentsOf(index);
    }
    for (let index = 0; index < size; index++) {
      if (drawn.has(index)) continue;
      drawn.add(index);
      return documentsOf(index);
    }
    return undefined;
  };
};

/** What a question-answering instruction asks for. */
export const ANSWER_ONLY =
  'Answer the question at the end from the following documents. Give only the answer: a name, a number, a short phrase, yes or no.\n\n';
