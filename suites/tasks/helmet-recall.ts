import { z } from 'zod';
import type { Task } from '../contract.js';
import type { LongText } from './fit-long-text.js';
import { helmetSource } from './helmet.js';
import { defineRecordTask } from './record-task.js';

const PAIRS = [50, 105, 220, 440, 900, 1800] as const;

export interface HelmetRecallParams {
  /** Which of upstream's files: pairs of the object, for 4k to 128k tokens. */
  readonly pairs: (typeof PAIRS)[number];
  /** Solved examples after the object. */
  readonly shots: number;
}

const RecallRecord = z.looseObject({
  context: z.string().min(1),
  question: z.string().min(1),
  answer: z.union([z.string(), z.array(z.string()).min(1)]),
  /** Keys of the object with their values. */
  demos: z.array(z.tuple([z.string(), z.string()])),
});
export type HelmetRecallRecord = z.output<typeof RecallRecord>;

const fileOf = (pairs: number): string => `test_k${pairs}_dep6.jsonl`;

export const helmetRecallPrompt = (record: HelmetRecallRecord, { shots }: HelmetRecallParams): LongText => {
  const solved = record.demos.slice(0, shots).map(([key, value]) => `Key: ${key}\nCorresponding value: ${value}\n\n`);
  const references = [record.answer].flat();
  const pair = `"${record.question}": "${references[0]}"`;
  const start = record.context.indexOf(pair);
  return {
    before: '',
    text: record.context,
    question: `\n\nExtract the value corresponding to the specified key in the JSON object below.\n\n${solved.join('')}Key: ${record.question}\n`,
    answerPrefix: 'Corresponding value:',
    references,
    evidence: start < 0 ? [] : [{ start, end: start + pair.length }],
    meta: {},
  };
};

/** One key of a JSON object of UUIDs, from upstream's files. The wording calls the object above it the one below, as upstream does. */
export const helmetJsonKv: Task<HelmetRecallParams> = defineRecordTask<HelmetRecallParams, HelmetRecallRecord>({
  id: 'helmet_json_kv',
  family: 'helmet',
  description: 'The value of one key of a JSON object of UUIDs.',
  source: helmetSource,
  version: 1,
  scorer: 'helmet/json_kv',
  maxNewTokens: 100,
  parameters: z.strictObject({
    pairs: z.literal([...PAIRS]).default(50),
    shots: z.int().min(0).max(10).default(2),
  }) as z.ZodType<HelmetRecallParams>,
  datasetsOf: ({ pairs }) => ({ needed: [`helmet/${fileOf(pairs)}`] }),
  file: ({ pairs }) => ({ dataset: 'helmet', name: fileOf(pairs) }),
  record: RecallRecord,
  prompt: (record, { params }) => helmetRecallPrompt(record, params),
});
