import { z } from 'zod';
import type { Task } from '../contract.js';
import type { SampleOrder } from './define-task.js';
import type { LongText } from './fit-long-text.js';
import { drawExamples, helmetSource } from './helmet.js';
import { ChoiceRecord, InfiniteBenchRecord, letterOf } from './infinitebench.js';
import { checkRecord } from './read-record.js';
import { defineRecordTask } from './record-task.js';

export interface HelmetBooksParams {
  /** Questions and answers about other books, without their texts. */
  readonly shots: number;
}

interface BookTask {
  readonly description: string;
  readonly file: string;
  readonly scorer: string;
  readonly maxNewTokens: number;
  readonly instruction: string;
  /** What follows the text, up to the answer. */
  readonly question: (record: InfiniteBenchRecord) => string;
  readonly answerPrefix: string;
  readonly references: (record: InfiniteBenchRecord) => string[];
}

const answersOf = ({ answer }: InfiniteBenchRecord): string[] => [answer].flat().map(String);

const optionsOf = ({ options }: InfiniteBenchRecord): string =>
  (options ?? []).map((option, i) => `${'ABCD'[i]}. ${option}`).join('\n');

const TASKS: Readonly<Record<string, BookTask>> = {
  infbench_qa: {
    description: 'Questions about a novel whose names were replaced.',
    file: 'longbook_qa_eng.jsonl',
    scorer: 'helmet/longqa',
    maxNewTokens: 10,
    instruction:
      'You are given a story and a question. Answer the question as concisely as you can, using a single phrase if possible.\n\n',
    question: ({ input }) => `Question: ${input}`,
    answerPrefix: 'Answer:',
    references: answersOf,
  },
  infbench_choice: {
    description: 'Multiple-choice questions about a novel whose names were replaced.',
    file: 'longbook_choice_eng.jsonl',
    scorer: 'helmet/infbench_choice',
    maxNewTokens: 10,
    instruction:
      "You are given a story and a question with multiple choices. Choose the best answer from the options provided. Only one of the following options is correct, output the answer using one single letter (A, B, C, or D). Don't say anything else.\n\n",
    question: (record) => `Question: ${record.input}\nOptions:\n${optionsOf(record)}`,
    answerPrefix: 'Answer:',
    references(record) {
      const { option, letter } = letterOf(record)!;
      return [letter, `${letter}. ${option}`];
    },
  },
  infbench_sum: {
    description: 'A summary of a novel whose names were replaced.',
    file: 'longbook_sum_eng.jsonl',
    scorer: 'helmet/summary',
    maxNewTokens: 1200,
    instruction:
      'You are given a book and you are tasked to summarize it. Write a summary of about 1000 to 1200 words. Only write about the plot and characters of the story. Do not discuss the themes or background of the book. Do not provide any analysis or commentary.\n\n',
    question: () => 'Now summarize the book.',
    answerPrefix: 'Summary:',
    references: answersOf,
  },
};

const helmetBooksPrompt = (
  task: BookTask,
  record: InfiniteBenchRecord,
  { datasets, params }: Pick<SampleOrder<HelmetBooksParams>, 'datasets' | 'params'>,
): LongText => {
  const request = {
    dataset: 'infinitebench',
    file: task.file,
    key: record.input + record.context.slice(0, 200),
    count: params.shots,
  };
  const examples = drawExamples(datasets, request, (data, where) => {
    const example = checkRecord(schemaOf(task), data, where);
    return example.input === record.input && example.context === record.context ? undefined : example;
  });
  const isSummary = task.answerPrefix === 'Summary:';
  const solved = examples.map((example) => {
    const asked = isSummary ? '' : `\n${task.question(example)}`;
    return `[story text]${asked}\n${task.answerPrefix} ${task.references(example)[0]!.trim()}`;
  });
  const demo =
    solved.length === 0 ? '' : `For example:\n\n${solved.join('\n\n')}\n\nNow, read the following story:\n\n`;
  return {
    before: task.instruction + demo,
    text: record.context,
    question: `\n\n${task.question(record)}\n\n`,
    answerPrefix: task.answerPrefix,
    references: task.references(record),
    ...(task.scorer === 'helmet/infbench_choice' ? { classes: ['A', 'B', 'C', 'D'] } : {}),
    meta: { shots: solved.length },
  };
};

const schemaOf = ({ scorer }: BookTask) => (scorer === 'helmet/infbench_choice' ? ChoiceRecord : InfiniteBenchRecord);

/**
 * HELMET's tasks over InfiniteBench's novels. Upstream cuts the end of a text away, here the middle goes, as in InfiniteBench itself.
 * Summaries are scored by ROUGE-Lsum of upstream's code; its headline asks a judge model.
 */
const bookTask = (name: string, task: BookTask): Task<HelmetBooksParams> =>
  defineRecordTask<HelmetBooksParams, InfiniteBenchRecord>({
    id: `helmet_${name}`,
    family: 'helmet',
    description: task.description,
    source: helmetSource,
    version: 1,
    scorer: task.scorer,
    maxNewTokens: task.maxNewTokens,
    datasets: [`infinitebench/${task.file}`],
    parameters: z.strictObject({ shots: z.int().min(0).max(10).default(2) }),
    file: () => ({ dataset: 'infinitebench', name: task.file }),
    record: schemaOf(task),
    prompt: (record, order) => helmetBooksPrompt(task, record, order),
  });

export const HELMET_BOOK_TASKS = Object.entries(TASKS).map(([name, task]) => bookTask(name, task));
