import { z } from 'zod';
import type { Task } from '../contract.js';
import type { DocumentPrompt } from './fit-documents.js';
import { helmetSource, holdsAnswer } from './helmet.js';
import { defineRecordTask } from './record-task.js';

export interface HelmetCiteParams {
  /** Most documents; upstream takes 8, 30, 75, 165, 345, 700 for 4k to 128k tokens. */
  readonly documents: number;
}

const Document = z.looseObject({ title: z.string(), text: z.string() });
const CiteFields = z.looseObject({
  question: z.string().min(1),
  docs: z.array(Document).min(1),
  /** ASQA: answers of the readings of the question. */
  qa_pairs: z.array(z.looseObject({ short_answers: z.array(z.string()).min(1) })).nullish(),
  /** QAMPARI: wordings of each answer. */
  answers: z.array(z.array(z.string()).min(1)).nullish(),
});
export type HelmetCiteRecord = z.output<typeof CiteFields>;

const answersOf = ({ qa_pairs: pairs, answers }: HelmetCiteRecord): string[][] =>
  answers ?? pairs?.map(({ short_answers: wordings }) => wordings) ?? [];

const CiteRecord = CiteFields.refine((record) => answersOf(record).length > 0, {
  path: ['qa_pairs'],
  error: 'answers, or qa_pairs with short_answers',
});

const INSTRUCTIONS = {
  asqa: 'Instruction: Write an accurate, engaging, and concise answer for the given question using only the provided search results (some of which might be irrelevant) and cite them properly. Use an unbiased and journalistic tone. Always cite for any factual claim. When citing a document, surround its ID with square brackets, such as [x] to cite document x. To cite multiple documents, simply concatenate the citation markers; for example, use [x][y][z] to cite the documents with ID x, y, and z. Cite at least one document and at most three documents in each sentence. If multiple documents support the sentence, only cite a minimum sufficient subset of the documents.',
  qampari:
    'Instruction: Provide a list of accurate answers for the given question using only the provided search results (some of which might be irrelevant) and cite them properly. Always cite one and only one document for each answer. When citing a document, surround its ID with square brackets, such as [x] to cite document x. Separate answers by commas. For questions that have more than 5 answers, write at least 5 answers.',
} as const;

const FILES = { asqa: 'asqa_eval_gtr_top2000.json', qampari: 'qampari_eval_gtr_top2000.json' } as const;

/** The question stands before the documents, as upstream has it: a method sees it under either protocol. */
export const helmetCitePrompt = (
  set: keyof typeof FILES,
  record: HelmetCiteRecord,
  { documents }: HelmetCiteParams,
): DocumentPrompt => {
  const answers = answersOf(record);
  return {
    before: `${INSTRUCTIONS[set]}\n\nQuestion: ${record.question}\n\n`,
    pool: {
      separator: '\n\n',
      documents: record.docs.slice(0, documents).map(({ title, text }) => {
        const isNeeded = holdsAnswer(text, answers.flat());
        return {
          isNeeded,
          write(number) {
            const head = `Document [${number}](Title: ${title}): `;
            const evidence = isNeeded ? [{ start: head.length, end: head.length + text.length }] : [];
            return { text: head + text, id: `[${number}]`, evidence };
          },
        };
      }),
    },
    question: '\n\n',
    answerPrefix: 'Answer:',
    references: answers.map((wordings) => wordings.join('\t')),
    meta: { answers: answers.length },
  };
};

/**
 * Answers with citations (ALCE). Scored by the answers they name; whether the citations support them takes upstream a language model of
 * 11 billion parameters, and is not measured here. Deviation: no solved examples, which upstream has two of.
 */
const citeTask = (set: keyof typeof FILES, description: string): Task<HelmetCiteParams> =>
  defineRecordTask<HelmetCiteParams, HelmetCiteRecord>({
    id: `helmet_${set}`,
    family: 'helmet',
    description,
    source: helmetSource,
    version: 1,
    scorer: `helmet/alce_${set}`,
    maxNewTokens: 300,
    datasets: [`helmet/${FILES[set]}`],
    parameters: z.strictObject({ documents: z.int().min(1).max(2000).default(30) }) as z.ZodType<HelmetCiteParams>,
    file: () => ({ dataset: 'helmet', name: FILES[set] }),
    record: CiteRecord,
    prompt: (record, { params }) => helmetCitePrompt(set, record, params),
  });

export const HELMET_CITE_TASKS = [
  citeTask('asqa', 'Questions with several readings, to be answered with citations.'),
  citeTask('qampari', 'Questions with many answers, to be listed with citations.'),
];

/** Files of the dataset `helmet` that these tasks read. */
export const helmetCiteFiles = (): string[] => Object.values(FILES);
