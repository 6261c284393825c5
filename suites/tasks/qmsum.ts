import { z } from 'zod';
import type { TextSpan } from '../../methods/contract.js';
import type { Task } from '../contract.js';
import type { LongText } from './fit-long-text.js';
import { LONGBENCH } from './longbench-wording.js';
import { defineRecordTask } from './record-task.js';

export interface QmsumParams {
  readonly split: 'test' | 'val';
  /** `specific`: about parts of the meeting, which are the evidence; `general`: about all of it. */
  readonly queries: 'specific' | 'general' | 'all';
}

const turn = z.string().regex(/^\d+$/);
const Query = z.looseObject({
  query: z.string().min(1),
  answer: z.string().min(1),
  /** First and last turn, from 0, of each part that the answer is about. */
  relevant_text_span: z.array(z.tuple([turn, turn])).optional(),
});
const QmsumRecord = z
  .looseObject({
    general_query_list: z.array(Query),
    specific_query_list: z.array(Query),
    meeting_transcripts: z.array(z.looseObject({ speaker: z.string(), content: z.string() })).min(1),
  })
  .superRefine(({ specific_query_list: queries, meeting_transcripts: turns }, context) => {
    for (const [i, { relevant_text_span: spans = [] }] of queries.entries())
      for (const [first, last] of spans)
        if (Number(first) > Number(last) || Number(last) >= turns.length)
          context.addIssue({
            code: 'custom',
            path: ['specific_query_list', i, 'relevant_text_span'],
            message: `turns in order, below ${turns.length}`,
          });
  });
export type QmsumRecord = z.output<typeof QmsumRecord>;

const queriesOf = (record: QmsumRecord, { queries }: Pick<QmsumParams, 'queries'>) => [
  ...(queries === 'specific' ? [] : record.general_query_list.map((query) => ({ ...query, kind: 'general' }))),
  ...(queries === 'general' ? [] : record.specific_query_list.map((query) => ({ ...query, kind: 'specific' }))),
];

export const qmsumPrompt = (record: QmsumRecord, params: Pick<QmsumParams, 'queries'>, item: number): LongText => {
  const { query, answer, kind, relevant_text_span: relevant = [] } = queriesOf(record, params)[item]!;
  const turns: TextSpan[] = [];
  let text = '';
  for (const { speaker, content } of record.meeting_transcripts) {
    const start = text === '' ? 0 : text.length + 1;
    text += `${text === '' ? '' : '\n'}${speaker}: ${content}`;
    turns.push({ start, end: text.length });
  }
  const [before = '', after = ''] = LONGBENCH.qmsum!.prompt.split('{context}');
  return {
    before,
    text,
    question: after.replace('{input}', () => query),
    references: [answer],
    evidence: joined(relevant.map(([first, last]) => ({ first: Number(first), last: Number(last) }))).map(
      ({ first, last }) => ({ start: turns[first]!.start, end: turns[last]!.end }),
    ),
    meta: { kind, turns: turns.length },
  };
};

/** Parts in order, those that touch or overlap as one. */
const joined = (parts: readonly { first: number; last: number }[]) => {
  const out: { first: number; last: number }[] = [];
  for (const part of [...parts].sort((a, b) => a.first - b.first)) {
    const before = out.at(-1);
    if (before === undefined || part.first > before.last + 1) out.push({ ...part });
    else before.last = Math.max(before.last, part.last);
  }
  return out;
};

/**
 * QMSum (arXiv 2104.05938): summaries of meetings, or of the parts that a query is about, from the original files, so that the parts are
 * known as evidence. The prompt is LongBench's; scored by ROUGE-L over stems.
 */
export const qmsum: Task<QmsumParams> = defineRecordTask<QmsumParams, QmsumRecord>({
  id: 'qmsum',
  family: 'summaries',
  description: 'Summaries of the parts of a meeting that a query is about, with these parts as evidence.',
  source: {
    title: 'QMSum: a new benchmark for query-based multi-domain meeting summarization',
    arxiv: '2104.05938',
    url: 'https://github.com/Yale-LILY/QMSum',
    licence: 'MIT',
  },
  version: 1,
  scorer: 'rouge/l-stemmed',
  maxNewTokens: 512,
  parameters: z.strictObject({
    split: z.enum(['test', 'val']).default('test'),
    queries: z.enum(['specific', 'general', 'all']).default('specific'),
  }) as z.ZodType<QmsumParams>,
  datasetsOf: ({ split }) => ({ needed: [`qmsum/${split}.jsonl`] }),
  file: ({ split }) => ({ dataset: 'qmsum', name: `${split}.jsonl` }),
  record: QmsumRecord,
  items: (record, params) => queriesOf(record, params).length,
  selects: ['queries'],
  prompt: (record, { params }, item) => qmsumPrompt(record, params, item),
});
