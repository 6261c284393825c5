import { z } from 'zod';
import type { Task } from '../contract.js';
import type { SampleOrder } from './define-task.js';
import type { DocumentPrompt } from './fit-documents.js';
import { drawExamples, helmetSource, holdsAnswer } from './helmet.js';
import { checkRecord } from './read-record.js';
import { defineRecordTask } from './record-task.js';

const PASSAGES = [20, 50, 105, 220, 440, 1000] as const;

export interface HelmetRagParams {
  /** Which of upstream's files: passages a question, for 4k to 128k tokens. */
  readonly passages: (typeof PASSAGES)[number];
  /** Solved examples with three passages each. */
  readonly shots: number;
}

const Passage = z.looseObject({ title: z.string(), text: z.string(), has_answer: z.boolean().nullish() });
const RagRecord = z.looseObject({
  question: z.string().min(1),
  answers: z.array(z.string()).min(1),
  ctxs: z.array(Passage).min(1),
  /** Page views of the subject, of PopQA alone. */
  s_pop: z.number().nullish(),
});
export type HelmetRagRecord = z.output<typeof RagRecord>;

interface RagSet {
  readonly description: string;
  readonly test: (passages: number) => string;
  readonly examples: string;
  /** PopQA: subjects of fewer than a thousand page views. */
  readonly rareOnly?: true;
}

const SETS: Readonly<Record<string, RagSet>> = {
  nq: {
    description: 'Natural Questions over retrieved passages.',
    test: (k) => `nq-dev-multikilt_1000_k${k}_dep6.jsonl`,
    examples: 'nq-train-multikilt_1000_k3_dep6.jsonl',
  },
  triviaqa: {
    description: 'TriviaQA over retrieved passages.',
    test: (k) => `triviaqa-dev-multikilt_1000_k${k}_dep6.jsonl`,
    examples: 'triviaqa-train-multikilt_1000_k3_dep6.jsonl',
  },
  hotpotqa: {
    description: 'HotpotQA over retrieved passages.',
    test: (k) => `hotpotqa-dev-multikilt_1000_k${k}_dep3.jsonl`,
    examples: 'hotpotqa-train-multikilt_1000_k3_dep3.jsonl',
  },
  popqa: {
    description: 'PopQA over retrieved passages, of rare subjects.',
    test: (k) => `popqa_test_1000_k${k}_dep6.jsonl`,
    examples: 'popqa_test_1000_k3_dep6.jsonl',
    rareOnly: true,
  },
};

const isRare = ({ s_pop: views }: HelmetRagRecord): boolean => views == null || Math.log10(views) < 3;

const passageText = ({ title, text }: z.output<typeof Passage>): string => `Document (Title: ${title}): ${text}`;

/** Retrieval-augmented QA: passages that hold an answer are evidence and stay; the others go, last first, where the length is short. */
const ragTask = (name: string, set: RagSet): Task<HelmetRagParams> =>
  defineRecordTask<HelmetRagParams, HelmetRagRecord>({
    id: `helmet_${name}`,
    family: 'helmet',
    description: set.description,
    source: helmetSource,
    version: 1,
    scorer: 'helmet/rag',
    maxNewTokens: 20,
    parameters: z.strictObject({
      passages: z.literal([...PASSAGES]).default(20),
      shots: z.int().min(0).max(10).default(2),
    }) as z.ZodType<HelmetRagParams>,
    datasetsOf: ({ passages, shots }) => ({
      needed: [`helmet/${set.test(passages)}`, ...(shots > 0 ? [`helmet/${set.examples}`] : [])],
    }),
    file: ({ passages }) => ({ dataset: 'helmet', name: set.test(passages) }),
    record: RagRecord,
    ...(set.rareOnly ? { items: (record) => Number(isRare(record)) } : {}),
    prompt: (record, order) => helmetRagPrompt(record, set, order),
  });

const helmetRagPrompt = (
  record: HelmetRagRecord,
  set: RagSet,
  { datasets, params }: Pick<SampleOrder<HelmetRagParams>, 'datasets' | 'params'>,
): DocumentPrompt => {
  const request = { dataset: 'helmet', file: set.examples, key: record.question, count: params.shots };
  const examples = drawExamples(datasets, request, (data, where) => {
    const example = checkRecord(RagRecord, data, where);
    return example.question !== record.question && (!set.rareOnly || isRare(example)) ? example : undefined;
  });
  const solved = examples.map(
    ({ ctxs, question, answers }) =>
      `${ctxs.map(passageText).join('\n\n')}\n\nQuestion: ${question}\nAnswer: ${answers[0]}\n\n`,
  );
  return {
    before: `Use the given documents to write a concise and short answer to the question. Write your answer in the following format:\nAnswer: [answer]\n\n${solved.join('')}`,
    pool: {
      separator: '\n\n',
      documents: record.ctxs.map((passage) => {
        const text = passageText(passage);
        const isNeeded = passage.has_answer ?? holdsAnswer(passage.text, record.answers);
        return {
          isNeeded,
          write: (number) => ({
            text,
            id: `Document ${number}`,
            evidence: isNeeded ? [{ start: text.length - passage.text.length, end: text.length }] : [],
          }),
        };
      }),
    },
    question: `\n\nQuestion: ${record.question}\n`,
    answerPrefix: 'Answer:',
    references: record.answers,
    stop: ['\n'],
    meta: { passages: record.ctxs.length },
  };
};

export const HELMET_RAG_TASKS = Object.entries(SETS).map(([name, set]) => ragTask(name, set));

/** Files of the dataset `helmet` that these tasks read. */
export const helmetRagFiles = (): string[] =>
  Object.values(SETS).flatMap(({ test, examples }) => [...PASSAGES.map(test), examples]);
