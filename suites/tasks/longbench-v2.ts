import { z } from 'zod';
import type { Task } from '../contract.js';
import type { LongText } from './fit-long-text.js';
import { defineRecordTask } from './record-task.js';

const LENGTHS = ['short', 'medium', 'long'] as const;
const DIFFICULTIES = ['easy', 'hard'] as const;

export interface LongBenchV2Params {
  /** Classes of upstream, in words: below 32k, to 128k, beyond. */
  readonly lengths: readonly (typeof LENGTHS)[number][];
  readonly difficulties: readonly (typeof DIFFICULTIES)[number][];
  /** `false`: the question alone, which shows what a model knows without the text. */
  readonly context: boolean;
}

const LongBenchV2Record = z.looseObject({
  _id: z.string(),
  domain: z.string(),
  sub_domain: z.string(),
  difficulty: z.enum(DIFFICULTIES),
  length: z.enum(LENGTHS),
  question: z.string().min(1),
  choice_A: z.string(),
  choice_B: z.string(),
  choice_C: z.string(),
  choice_D: z.string(),
  answer: z.enum(['A', 'B', 'C', 'D']),
  context: z.string().min(1),
});
export type LongBenchV2Record = z.output<typeof LongBenchV2Record>;

const all = <T extends string>(values: readonly [T, ...T[]]) =>
  z
    .array(z.enum(values))
    .min(1)
    .default([...values]);

/** Prompts word for word from THUDM/LongBench at 2e00731f8d0b (prompts/0shot.txt and 0shot_no_context.txt, MIT licence, copyright THUDM). */
export const longBenchV2Prompt = (record: LongBenchV2Record, withText: boolean): LongText => {
  const choices = (['A', 'B', 'C', 'D'] as const).map((letter) => `(${letter}) ${record[`choice_${letter}`].trim()}`);
  const asked = `What is the correct answer to this question: ${record.question.trim()}\nChoices:\n${choices.join('\n')}`;
  const form = 'Format your response as follows: "The correct answer is (insert answer here)".';
  return {
    before: withText ? 'Please read the following text and answer the question below.\n\n<text>\n' : asked,
    text: withText ? record.context.trim() : '',
    question: withText
      ? `\n</text>\n\n${asked}\n\n${form}`
      : `\n\nWhat is the single, most likely answer choice? ${form}`,
    references: [record.answer],
    classes: ['A', 'B', 'C', 'D'],
    meta: {
      id: record._id,
      domain: record.domain,
      subDomain: record.sub_domain,
      difficulty: record.difficulty,
      lengthClass: record.length,
    },
  };
};

/**
 * LongBench v2 (arXiv 2412.15204): 503 questions with four choices over texts of 8,000 to 2 million words, in their own wording.
 *
 * Deviation: greedy, where upstream draws at temperature 0.1.
 */
export const longBenchV2: Task<LongBenchV2Params> = defineRecordTask<LongBenchV2Params, LongBenchV2Record>({
  id: 'longbench_v2',
  family: 'longbench',
  description: 'Hard multiple-choice questions over long documents, dialogues, code and tables.',
  source: {
    title: 'LongBench v2: towards deeper understanding and reasoning on realistic long-context multitasks',
    arxiv: '2412.15204',
    url: 'https://github.com/THUDM/LongBench',
    licence: 'Apache-2.0; texts of their own licences',
  },
  version: 1,
  scorer: 'longbench-v2',
  maxNewTokens: 128,
  datasets: ['longbench-v2'],
  parameters: z.strictObject({
    lengths: all(LENGTHS),
    difficulties: all(DIFFICULTIES),
    context: z.boolean().default(true),
  }) as z.ZodType<LongBenchV2Params>,
  record: LongBenchV2Record,
  items: ({ length, difficulty }, params) =>
    Number(params.lengths.includes(length) && params.difficulties.includes(difficulty)),
  selects: ['lengths', 'difficulties'],
  prompt: (record, { params }) => longBenchV2Prompt(record, params.context),
});
