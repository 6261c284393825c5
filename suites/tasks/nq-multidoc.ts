import { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import { createRandom } from '../../core/random.js';
import type { DatasetFile } from '../../datasets/index.js';
import { createBm25 } from '../../methods/prompt/bm25.js';
import { defineTask, type SampleOrder } from './define-task.js';
import { type QuestionPlan, questionSample } from './question-record.js';
import { readRecord } from './read-record.js';
import { RECORDS_FIELDS, type RecordsParams, recordIndex } from './set-records.js';
import type { ShownDocument } from './world-layout.js';

export interface MultidocParams extends RecordsParams {
  /** Passages in all, the one that answers included; as many as the length holds unless given. Upstream: 10, 20, 30. */
  readonly documents?: number | undefined;
  /** Place of the passage that answers among `documents`, from 0; by chance unless given. */
  readonly goldPosition?: number | undefined;
  /** The same as a share of the others, for any number of passages; `sweep` goes through 0, 0.1 … 1 with the sample's index. */
  readonly goldDepth?: number | 'sweep' | undefined;
  /** The other passages: those nearest to the question by BM25, best first, or any. */
  readonly distractors: 'bm25' | 'random';
}

const recordSchema = z.object({
  question: z.string().min(1),
  answers: z.array(z.string().min(1)).min(1),
  ctxs: z.array(z.object({ title: z.string(), text: z.string().min(1) })).min(1),
});

const parameters = z
  .strictObject({
    documents: z.int().min(1).max(1000).optional(),
    goldPosition: z.int().min(0).max(999).optional(),
    goldDepth: z.union([z.number().min(0).max(1), z.literal('sweep')]).optional(),
    distractors: z.enum(['bm25', 'random']).default('bm25'),
    ...RECORDS_FIELDS,
  })
  .superRefine(({ documents, goldPosition, goldDepth }, context) => {
    if (goldPosition === undefined) return;
    const issue = (message: string): void => context.addIssue({ code: 'custom', path: ['goldPosition'], message });
    if (documents === undefined) issue('a place together with documents');
    else if (goldPosition >= documents) issue(`below documents (${documents})`);
    if (goldDepth !== undefined) issue('goldPosition or goldDepth, not both');
  });

/**
 * One passage that answers a question of Natural Questions among passages that do not, at a place that can be chosen (Lost in the Middle,
 * arXiv 2307.03172). Upstream's passages come from a dense retriever over all of Wikipedia and are not in its repository; here they are
 * the gold passages of other questions that hold no answer, nearest by BM25, so scores are not comparable with published ones.
 */
export const nqMultidoc = defineTask<MultidocParams>({
  id: 'nq_multidoc',
  family: 'retrieval-qa',
  description: 'A question whose answer stands in one passage among many, at a chosen place.',
  source: {
    title: 'Lost in the Middle: How Language Models Use Long Contexts',
    arxiv: '2307.03172',
    url: 'https://github.com/nelson-liu/lost-in-the-middle',
    licence: 'MIT; texts CC BY-SA 3.0',
  },
  version: 1,
  scorer: 'lost-in-the-middle/qa',
  datasets: ['nq-multidoc'],
  maxNewTokens: 100,
  parameters,
  size: ({ datasets }) => datasets('nq-multidoc').size,
  makeSample,
});

const INSTRUCTION =
  'Answer the question at the end from the following documents, most of which do not help. Write the answer on one line.\n\n';

function makeSample(order: SampleOrder<MultidocParams>) {
  const { params, length, seed, index } = order;
  const file = order.datasets('nq-multidoc');
  const at = recordIndex(params, file.size, seed, index);
  const { question, answers, ctxs } = readRecord(file, at, recordSchema);
  const { title, text } = ctxs[0]!;
  const { documents, goldPosition, goldDepth } = params;
  const depth = goldPosition === undefined ? goldDepth : documents === 1 ? 0 : goldPosition / (documents! - 1);
  const layout = { context: 'full', order: 'random', gap: 0, goldDepth: depth } as const;
  const sample = questionSample(
    'nq_multidoc',
    { ...order, params: layout },
    {
      question,
      references: answers,
      needed: [{ about: title, text, evidence: answerSentences(text, answers) }],
      own: [],
      instruction: INSTRUCTION,
      more: othersOf(file, params, question, createRandom(seed, 'nq_multidoc others', length, index).shuffle),
      ...(documents === undefined ? {} : { most: documents - 1 }),
      meta: {},
    },
  );
  const shown = sample.meta.haystackUnits as number;
  if (documents !== undefined && shown < documents - 1) {
    const expected = `room for ${documents} documents`;
    throw new WinnowError('ERR_SUITE', 'nq_multidoc documents', expected, shown + 1, 'Use a longer length, or fewer.');
  }
  return sample;
}

/** Sentences of the passage that hold an answer; the passage where the answer goes over a sentence's end. */
const answerSentences = (text: string, answers: readonly string[]) => {
  const lower = answers.map((answer) => answer.toLowerCase());
  const spans = [...text.matchAll(/\S[\s\S]*?(?:[.!?]["'”’)\]]*(?=\s|$)|$)/g)]
    .map(({ 0: sentence, index }) => ({ sentence: sentence.trimEnd(), start: index }))
    .filter(({ sentence }) => lower.some((answer) => sentence.toLowerCase().includes(answer)))
    .map(({ sentence, start }) => ({ start, end: start + sentence.length }));
  return spans.length > 0 ? spans : [{ start: 0, end: text.trimEnd().length }];
};

const passagesOf = (file: DatasetFile): readonly ShownDocument[] => {
  const seen = new Set<string>();
  return Array.from({ length: file.size }, (_, i) => readRecord(file, i, recordSchema).ctxs[0]!).flatMap(
    ({ title, text }) => {
      if (seen.has(title)) return [];
      seen.add(title);
      return [{ about: title, text }];
    },
  );
};

const searchOf = (file: DatasetFile) =>
  createBm25(file.derived(passagesOf).map(({ about, text }) => `${about} ${text}`));

const othersOf = (
  file: DatasetFile,
  { distractors }: MultidocParams,
  question: string,
  shuffle: (items: readonly number[]) => number[],
): QuestionPlan['more'] => {
  const passages = file.derived(passagesOf);
  const inOrder = passages.map((_, i) => i);
  const ranked = (): number[] => {
    const scores = file.derived(searchOf).scores(question);
    return inOrder.sort((a, b) => scores[b]! - scores[a]! || a - b);
  };
  let places: number[] | undefined;
  return (list) => {
    places ??= distractors === 'bm25' ? ranked() : shuffle(inOrder);
    const place = places[list];
    return place === undefined ? undefined : [passages[place]!];
  };
};
