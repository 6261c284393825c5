import { z } from 'zod';
import type { TextSpan } from '../../methods/contract.js';
import type { Task } from '../contract.js';
import type { LongText } from './fit-long-text.js';
import { INFINITEBENCH, type InfiniteBenchTask } from './infinitebench-wording.js';
import { defineRecordTask } from './record-task.js';

const Answer = z.union([z.string(), z.number(), z.array(z.union([z.string(), z.number()]))]);

export const InfiniteBenchRecord = z.looseObject({
  context: z.string().min(1),
  input: z.string(),
  answer: Answer,
  options: z.array(z.string()).nullish(),
});
export type InfiniteBenchRecord = z.output<typeof InfiniteBenchRecord>;

/** A record of a multiple-choice task: four options, one of which is the answer. */
export const ChoiceRecord = InfiniteBenchRecord.extend({ options: z.array(z.string()).length(4) }).refine(
  (record) => letterOf(record) !== undefined,
  { path: ['answer'], error: 'one of the options' },
);

/** Upstream writes the answer as text, as a list of one, or with its letter. */
export const letterOf = ({ answer, options }: InfiniteBenchRecord): { option: string; letter: string } | undefined => {
  const [first, second] = [answer].flat().map(String);
  const at = options?.indexOf(first ?? '') ?? -1;
  const letter = second !== undefined && /^[ABCD]$/.test(second) ? second : 'ABCD'[at];
  return first === undefined || letter === undefined ? undefined : { option: first, letter };
};

/** References as the scorers of `infinitebench/…` want them. */
const referencesOf = (task: InfiniteBenchTask, record: InfiniteBenchRecord): string[] => {
  if (!task.choices) return [record.answer].flat().map(String);
  const { option, letter } = letterOf(record)!;
  return [option, letter];
};

/** A record in upstream's wording for open models. Evidence is known where the answer stands in one marked place of the text. */
export const infiniteBenchPrompt = (name: string, record: InfiniteBenchRecord): LongText => {
  const task = INFINITEBENCH[name]!;
  const [before = '', after = ''] = task.prompt.split('{context}');
  const call = /func_[0-9]+\(-?[0-9]+\)/.exec(record.input)?.[0] ?? '';
  const wanted = /The .+ of/.exec(record.input)?.[0].toLowerCase().slice(0, -' of'.length) ?? '';
  const values: Readonly<Record<string, string>> = {
    input: record.input,
    func: call.split('(')[0]!,
    func_call: call,
    prefix: `What is ${wanted} in the following list?`,
    ...Object.fromEntries((record.options ?? []).map((option, i) => [`OPTION_${'ABCD'[i]}`, option])),
  };
  const fill = (text: string): string => text.replace(/\{(\w+)\}/g, (whole, key: string) => values[key] ?? whole);
  const references = referencesOf(task, record);
  return {
    before: fill(before),
    text: record.context,
    question: fill(after),
    ...(task.answerPrefix === undefined ? {} : { answerPrefix: fill(task.answerPrefix) }),
    references,
    evidence: task.evidence === undefined ? [] : spansOf(record.context, task.evidence(references[0]!, record.input)),
    ...(task.choices ? { classes: ['A', 'B', 'C', 'D'] } : {}),
    meta: {},
  };
};

const spansOf = (text: string, part: string | undefined): TextSpan[] => {
  const start = part === undefined ? -1 : text.indexOf(part);
  return start < 0 ? [] : [{ start, end: start + part!.length }];
};

/**
 * InfiniteBench (arXiv 2402.13718) from its files, 40,000 to 200,000 tokens a record, Chinese books to 2 million. Where the wording of
 * upstream for open models leads into the answer, that part is the answer prefix.
 */
const infiniteBench = (name: string, task: InfiniteBenchTask): Task =>
  defineRecordTask<object, InfiniteBenchRecord>({
    id: `infinitebench_${name}`,
    family: 'infinitebench',
    description: task.description,
    source: {
      title: 'InfiniteBench: extending long context evaluation beyond 100K tokens',
      arxiv: '2402.13718',
      url: 'https://github.com/OpenBMB/InfiniteBench',
      licence: 'MIT',
    },
    version: 1,
    scorer: `infinitebench/${name}`,
    maxNewTokens: task.maxNewTokens,
    datasets: [`infinitebench/${name}.jsonl`],
    parameters: z.strictObject({}),
    file: () => ({ dataset: 'infinitebench', name: `${name}.jsonl` }),
    record: task.choices ? ChoiceRecord : InfiniteBenchRecord,
    prompt: (record) => infiniteBenchPrompt(name, record),
  });

export const INFINITEBENCH_TASKS = Object.entries(INFINITEBENCH).map(([name, task]) => infiniteBench(name, task));
