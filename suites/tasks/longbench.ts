import { z } from 'zod';
import type { TextSpan } from '../../methods/contract.js';
import type { Task } from '../contract.js';
import type { LongText } from './fit-long-text.js';
import { LONGBENCH, type LongBenchWording } from './longbench-wording.js';
import { defineRecordTask } from './record-task.js';

export interface LongBenchParams {
  /** `even-lengths`: LongBench-E, whose records spread over the buckets of `meta.bucket`. */
  readonly edition: 'standard' | 'even-lengths';
}

const LongBenchRecord = z.looseObject({
  input: z.string(),
  context: z.string().min(1),
  answers: z.array(z.string()).min(1),
  /** In words; characters of Chinese text. */
  length: z.number(),
  all_classes: z.array(z.string()).nullish(),
  _id: z.string(),
});
export type LongBenchRecord = z.output<typeof LongBenchRecord>;

/**
 * LongBench (arXiv 2308.14508): 14 English and two code datasets, with upstream's prompts, answer lengths, rule for the middle cut, and
 * chat template for all but the few-shot and code datasets.
 *
 * Deviation: samsum's answers are not stopped at a line end, since the scorer cuts them there. They can differ only where an answer
 * begins with one, which upstream forbids the model.
 */
const longBench = (dataset: string, wording: LongBenchWording): Task<LongBenchParams> =>
  defineRecordTask<LongBenchParams, LongBenchRecord>({
    id: `longbench_${dataset.replaceAll('-', '_')}`,
    family: 'longbench',
    description: DESCRIPTIONS[dataset]!,
    source: {
      title: 'LongBench: a bilingual, multitask benchmark for long context understanding',
      arxiv: '2308.14508',
      url: 'https://github.com/THUDM/LongBench',
      licence: 'MIT; texts of their own licences',
    },
    version: 1,
    scorer: `longbench/${dataset}`,
    maxNewTokens: wording.maxNewTokens,
    parameters: z.strictObject({
      edition: z.enum(wording.evenLengths ? ['standard', 'even-lengths'] : ['standard']).default('standard'),
    }) as z.ZodType<LongBenchParams>,
    datasetsOf: ({ edition }) => ({ needed: [`longbench/${fileOf(dataset, edition)}`] }),
    file: ({ edition }) => ({ dataset: 'longbench', name: fileOf(dataset, edition) }),
    record: LongBenchRecord,
    prompt: (record) => longBenchPrompt(dataset, record),
  });

const fileOf = (dataset: string, edition: LongBenchParams['edition']): string =>
  `${dataset}${edition === 'even-lengths' ? '_e' : ''}.jsonl`;

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  narrativeqa: 'Questions about a novel or a film script.',
  qasper: 'Questions about a scientific article.',
  multifieldqa_en: 'Questions about articles of many fields.',
  hotpotqa: 'Two-hop questions over Wikipedia passages.',
  '2wikimqa': 'Questions of two to five hops over Wikipedia passages.',
  musique: 'Questions of two to four hops over Wikipedia passages.',
  gov_report: 'A summary of a government report.',
  qmsum: 'Summaries of parts of a meeting that a query asks for.',
  multi_news: 'A summary of several news articles.',
  trec: 'The type of a question, after many examples.',
  triviaqa: 'Trivia questions with a passage, after examples.',
  samsum: 'A summary of a dialogue, after many examples.',
  passage_count: 'How many different passages there are among repetitions.',
  passage_retrieval_en: 'Which of 30 passages an abstract is of.',
  lcc: 'The next line of a code file.',
  'repobench-p': 'The next line of a code file, given other files of the repository.',
};

/** A record in upstream's wording. Evidence is known of passage_retrieval_en alone: the passage that the answer names. */
export const longBenchPrompt = (dataset: string, record: LongBenchRecord): LongText => {
  const wording = LONGBENCH[dataset]!;
  const [before = '', after = ''] = wording.prompt.split('{context}');
  const { documents, documentIds } = borders(record.context, wording.documents);
  const wanted = dataset === 'passage_retrieval_en' ? documentIds.indexOf(record.answers[0]!) : -1;
  return {
    before,
    text: record.context,
    // A function: `$` in the input is no pattern.
    question: after.replace('{input}', () => record.input),
    references: record.answers,
    documents,
    documentIds,
    evidence: wanted < 0 ? [] : [documents[wanted]!],
    ...(record.all_classes ? { classes: record.all_classes } : {}),
    ...(dataset === 'passage_retrieval_en' ? { classes: documentIds } : {}),
    ...(wording.plain ? { chatTemplate: false as const } : {}),
    meta: { words: record.length, bucket: record.length < 4000 ? '0-4k' : record.length < 8000 ? '4-8k' : '8k+' },
  };
};

/** Documents that begin a line with `Passage 1:` or `Paragraph 1:`, in their running order: a number out of turn is text. */
const borders = (text: string, word: LongBenchWording['documents']) => {
  const starts: number[] = [];
  if (word !== undefined) {
    for (const { index, 1: number } of text.matchAll(new RegExp(`^${word} (\\d+):`, 'gm')))
      if (Number(number) === starts.length + 1) starts.push(index);
  }
  const documents = starts.map((start, i): TextSpan => {
    const end = starts[i + 1] ?? text.length;
    return { start, end: start + text.slice(start, end).trimEnd().length };
  });
  return { documents, documentIds: starts.map((_, i) => `${word} ${i + 1}`) };
};

export const LONGBENCH_TASKS = Object.entries(LONGBENCH).map(([dataset, wording]) => longBench(dataset, wording));
