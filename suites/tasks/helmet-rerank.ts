import { z } from 'zod';
import type { Task } from '../contract.js';
import type { SampleOrder } from './define-task.js';
import type { DocumentPrompt } from './fit-documents.js';
import { drawExamples, helmetSource } from './helmet.js';
import { checkRecord } from './read-record.js';
import { defineRecordTask } from './record-task.js';

const PASSAGES = [14, 50, 130, 285, 600, 1000] as const;

export interface HelmetRerankParams {
  /** Which of upstream's files: passages a query, for 4k to 128k tokens. */
  readonly passages: (typeof PASSAGES)[number];
  /** Solved examples with ten passages each. */
  readonly shots: number;
}

const Passage = z.looseObject({ id: z.string(), text: z.string(), title: z.string().nullish(), label: z.int() });
const RerankRecord = z.looseObject({ qid: z.string(), query: z.string().min(1), ctxs: z.array(Passage).min(1) });
export type HelmetRerankRecord = z.output<typeof RerankRecord>;

const testFile = (passages: number): string => `test_reranking_data_k${passages}_dep3.jsonl`;
const EXAMPLES = 'test_reranking_data_k10_dep3.jsonl';

const passageText = ({ id, title, text }: z.output<typeof Passage>): string =>
  `[ID: ${id}] Document${title == null ? '' : ` (Title: ${title})`}: ${text}`;

const rankingOf = ({ ctxs }: HelmetRerankRecord): string =>
  [...ctxs]
    .sort((a, b) => b.label - a.label)
    .map(({ id }) => id)
    .join(' > ');

export const helmetRerankPrompt = (
  record: HelmetRerankRecord,
  { datasets, params }: Pick<SampleOrder<HelmetRerankParams>, 'datasets' | 'params'>,
): DocumentPrompt => {
  const request = { dataset: 'helmet', file: EXAMPLES, key: record.qid, count: params.shots };
  const examples = drawExamples(datasets, request, (data, where) => {
    const example = checkRecord(RerankRecord, data, where);
    return example.qid === record.qid ? undefined : example;
  });
  const solved = examples.map(
    (example) =>
      `${example.ctxs.map(passageText).join('\n\n')}\n\nQuery: ${example.query}\nRanking: ${rankingOf(example)}\n\n`,
  );
  const relevant = record.ctxs.filter(({ label }) => label > 0);
  return {
    before: `You are provided with a list of documents, each indicated by their ID. Rank each document based on their relevance to the question in descending order from most relelvant to least relevant texts. Include all documents in the rankings. Write your answer using the unique IDs, with the following format:\nRanking: ID3 > ID1 > ID2\n\n${solved.join('')}`,
    pool: {
      separator: '\n\n',
      documents: record.ctxs.map((passage) => {
        const text = passageText(passage);
        const isNeeded = passage.label > 0;
        const evidence = isNeeded ? [{ start: 0, end: text.length }] : [];
        return { isNeeded, write: () => ({ text, id: passage.id, evidence }) };
      }),
    },
    question: `\n\nQuery: ${record.query}\n`,
    answerPrefix: 'Ranking:',
    references: relevant.map(({ id, label }) => `${id} ${label}`),
    stop: ['\n'],
    meta: { id: record.qid, relevant: relevant.length },
  };
};

/** Passages of MS MARCO to be ranked; those with a label stay where the length is short. */
export const helmetRerank: Task<HelmetRerankParams> = defineRecordTask<HelmetRerankParams, HelmetRerankRecord>({
  id: 'helmet_rerank',
  family: 'helmet',
  description: 'Passages of MS MARCO, to be put in the order of their relevance.',
  source: helmetSource,
  version: 1,
  scorer: 'helmet/rerank',
  maxNewTokens: 200,
  parameters: z.strictObject({
    passages: z.literal([...PASSAGES]).default(14),
    shots: z.int().min(0).max(10).default(2),
  }) as z.ZodType<HelmetRerankParams>,
  datasetsOf: ({ passages, shots }) => ({
    needed: [`helmet/${testFile(passages)}`, ...(shots > 0 ? [`helmet/${EXAMPLES}`] : [])],
  }),
  file: ({ passages }) => ({ dataset: 'helmet', name: testFile(passages) }),
  record: RerankRecord,
  // Without a relevant passage there is nothing to rank.
  items: ({ ctxs }) => Number(ctxs.some(({ label }) => label > 0)),
  prompt: helmetRerankPrompt,
});

/** Files of the dataset `helmet` that this task reads. */
export const helmetRerankFiles = (): string[] => [...PASSAGES.map(testFile), EXAMPLES];
