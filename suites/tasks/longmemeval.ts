import { z } from 'zod';
import { createRandom } from '../../core/random.js';
import type { TextSpan } from '../../methods/contract.js';
import type { Task } from '../contract.js';
import type { SampleOrder } from './define-task.js';
import type { DocumentPrompt, PoolDocument } from './fit-documents.js';
import { defineRecordTask } from './record-task.js';

/** The types of question whose answers words can be compared with. `single-session-preference` has rubrics for a judge instead. */
const TYPES = [
  'single-session-user',
  'single-session-assistant',
  'multi-session',
  'temporal-reasoning',
  'knowledge-update',
] as const;

export interface LongMemEvalParams {
  /** `s`: about 115,000 tokens of history; `m`: about 500 sessions; `oracle`: the sessions with evidence alone. */
  readonly edition: 's' | 'm' | 'oracle';
  readonly questionTypes: readonly (typeof TYPES)[number][];
  /** Questions whose answer the history does not hold: left out, asked beside the others, or asked alone. */
  readonly abstention: 'without' | 'with' | 'only';
  readonly history: 'json' | 'plain';
  /** `step-by-step`: the model first writes down what matters; give it `maxNewTokens: 800`, as upstream does. */
  readonly reading: 'direct' | 'step-by-step';
}

const Turn = z.looseObject({
  role: z.enum(['user', 'assistant']),
  content: z.string(),
  has_answer: z.boolean().nullish(),
});
const LongMemEvalRecord = z
  .looseObject({
    question_id: z.string(),
    question_type: z.enum([...TYPES, 'single-session-preference']),
    question: z.string().min(1),
    answer: z.union([z.string(), z.number()]),
    question_date: z.string(),
    haystack_dates: z.array(z.string()).min(1),
    haystack_session_ids: z.array(z.string()),
    haystack_sessions: z.array(z.array(Turn)),
    answer_session_ids: z.array(z.string()),
  })
  .superRefine((record, context) => {
    for (const path of ['haystack_session_ids', 'haystack_sessions'] as const)
      if (record[path].length !== record.haystack_dates.length)
        context.addIssue({
          code: 'custom',
          path: [path],
          message: `as many as haystack_dates (${record.haystack_dates.length})`,
        });
  });
export type LongMemEvalRecord = z.output<typeof LongMemEvalRecord>;
type Turn = z.output<typeof Turn>;

const isAbstention = ({ question_id: id }: LongMemEvalRecord): boolean => id.endsWith('_abs');

/**
 * LongMemEval (arXiv 2410.10813): questions about a long history of dated chats. Evidence: the turns that are marked as holding the
 * answer, of sessions without marks the whole session.
 *
 * Prompt word for word (xiaowu0162/LongMemEval at 9e0b455f4ef0, src/generation/run_generation.py, MIT licence, copyright Di Wu).
 * Deviations: where the history is longer than allowed, sessions without evidence are left out at random (upstream cuts its end away);
 * string rules score in place of a judge model, so that questions about preferences are left out.
 */
export const longMemEval: Task<LongMemEvalParams> = defineRecordTask<LongMemEvalParams, LongMemEvalRecord>({
  id: 'longmemeval',
  family: 'longmemeval',
  description: 'Questions about facts, dates and updates in a long history of chats.',
  source: {
    title: 'LongMemEval: benchmarking chat assistants on long-term interactive memory',
    arxiv: '2410.10813',
    url: 'https://github.com/xiaowu0162/LongMemEval',
    licence: 'MIT',
  },
  version: 1,
  scorer: 'longmemeval',
  maxNewTokens: 500,
  parameters: z.strictObject({
    edition: z.enum(['s', 'm', 'oracle']).default('s'),
    questionTypes: z
      .array(z.enum(TYPES))
      .min(1)
      .default([...TYPES]),
    abstention: z.enum(['without', 'with', 'only']).default('with'),
    history: z.enum(['json', 'plain']).default('json'),
    reading: z.enum(['direct', 'step-by-step']).default('direct'),
  }) as z.ZodType<LongMemEvalParams>,
  datasetsOf: ({ edition }) => ({ needed: [`longmemeval/${FILES[edition]}`] }),
  file: ({ edition }) => ({ dataset: 'longmemeval', name: FILES[edition] }),
  record: LongMemEvalRecord,
  items: (record, { questionTypes, abstention }) =>
    Number(
      questionTypes.some((type) => type === record.question_type) &&
        (isAbstention(record) ? abstention !== 'without' : abstention !== 'only'),
    ),
  selects: ['questionTypes', 'abstention'],
  prompt: (record, order) => longMemEvalPrompt(record, order),
});

const FILES = {
  s: 'longmemeval_s_cleaned.json',
  m: 'longmemeval_m_cleaned.json',
  oracle: 'longmemeval_oracle.json',
} as const;

export const longMemEvalPrompt = (
  record: LongMemEvalRecord,
  { params: { reading, history }, seed }: Pick<SampleOrder<LongMemEvalParams>, 'params' | 'seed'>,
): DocumentPrompt => {
  const sessions = record.haystack_sessions
    .map((turns, i) => ({ turns, date: record.haystack_dates[i]!, id: record.haystack_session_ids[i]! }))
    .sort((a, b) => (a.date < b.date ? -1 : a.date > b.date ? 1 : 0));
  const documents = sessions.map(({ turns, date, id }): PoolDocument => {
    const isNeeded = record.answer_session_ids.includes(id);
    return {
      isNeeded,
      write(number) {
        const head = `\n### Session ${number}:\nSession Date: ${date}\nSession Content:\n`;
        const { text, marked } = (history === 'json' ? jsonSession : plainSession)(turns);
        const spans = marked.length > 0 ? marked : [{ start: 0, end: text.length }];
        const evidence = spans.map(({ start, end }) => ({ start: start + head.length, end: end + head.length }));
        const written = { text: `${head}${text}\n`, id: `Session ${number}` };
        return isNeeded && !isAbstention(record) ? { ...written, evidence } : written;
      },
    };
  });
  const spare = documents.flatMap(({ isNeeded }, index) => (isNeeded ? [] : [index]));
  const inSteps = reading === 'step-by-step';
  return {
    before: `I will give you several history chats between you and a user. Please answer the question based on the relevant chat history.${
      inSteps
        ? ' Answer the question step by step: first extract all the relevant information, and then reason over the information to get the answer.'
        : ''
    }\n\n\nHistory Chats:\n\n`,
    pool: { documents, separator: '', fillers: createRandom(seed, 'longmemeval', record.question_id).shuffle(spare) },
    question: `\n\nCurrent Date: ${record.question_date}\nQuestion: ${record.question}\nAnswer${inSteps ? ' (step by step)' : ''}:`,
    references: [String(record.answer)],
    meta: { id: record.question_id, questionType: record.question_type, abstention: isAbstention(record) },
  };
};

/** Text of a session and the turns in it that hold the answer. */
interface WrittenSession {
  readonly text: string;
  readonly marked: readonly TextSpan[];
}

const joinTurns = (
  start: string,
  turns: readonly Turn[],
  separator: string,
  write: (turn: Turn) => string,
): WrittenSession => {
  let text = start;
  const marked: TextSpan[] = [];
  for (const [i, turn] of turns.entries()) {
    if (i > 0) text += separator;
    const from = text.length;
    text += write(turn);
    if (turn.has_answer === true) marked.push({ start: from, end: text.length });
  }
  return { text, marked };
};

/** As Python's json.dumps writes it. */
const jsonSession = (turns: readonly Turn[]): WrittenSession => {
  const session = joinTurns(
    '\n[',
    turns,
    ', ',
    ({ role, content }) => `{"role": "${role}", "content": ${asciiJson(content)}}`,
  );
  return { ...session, text: `${session.text}]` };
};

const asciiJson = (text: string): string =>
  JSON.stringify(text).replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

const plainSession = (turns: readonly Turn[]): WrittenSession =>
  joinTurns('', turns, '', ({ role, content }) => `\n\n${role}: ${content.trim()}`);
