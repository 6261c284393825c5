import { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import { createRandom, type Random } from '../../core/random.js';
import type { DatasetFile } from '../../datasets/index.js';
import type { TextSpan } from '../../methods/contract.js';
import { defineTask, type SampleOrder } from './define-task.js';
import { splitSentences } from './haystack.js';
import { otherRecords, type QuestionPlan, questionSample } from './question-record.js';
import { readRecord } from './read-record.js';
import { openIfThere, RECORDS_FIELDS, type RecordsParams, recordIndex } from './set-records.js';
import { LAYOUT_FIELDS, type LayoutParams, type ShownDocument } from './world-layout.js';
import type { NeededDocument } from './world-sample.js';

export interface MultiHopRagParams extends LayoutParams, RecordsParams {
  /** Passages around each fact out of its article, where the articles were pulled, or the facts alone. */
  readonly passages: 'article' | 'fact';
  /** Words of a passage out of an article; upstream retrieves chunks of 256 tokens. */
  readonly passageWords: number;
}

const querySchema = z.object({
  query: z.string().min(1),
  answer: z.string().min(1),
  question_type: z.string(),
  evidence_list: z.array(
    z.object({
      fact: z.string().min(1),
      title: z.string(),
      source: z.string().default(''),
      published_at: z.string().default(''),
    }),
  ),
});
type Query = z.output<typeof querySchema>;

const articleSchema = z.object({
  title: z.string(),
  body: z.string().min(1),
  source: z.string().nullish(),
  published_at: z.string().nullish(),
});

/**
 * Questions over news articles of 2023 whose answer takes two to four of them: what is retrieved is given, the passages that hold the facts
 * among passages of other questions. Questions of type `null_query` have no answer in the articles and are scored for abstention.
 *
 * Ours: the facts are always among what is given (upstream retrieves first), wording, exact match for the rest (upstream counts any
 * common word: `multihop-rag@upstream`).
 */
export const multiHopRag = defineTask<MultiHopRagParams>({
  id: 'multihop_rag',
  family: 'multi-hop',
  description: 'Questions over two to four news articles, some of them without an answer.',
  source: {
    title: 'MultiHop-RAG: Benchmarking Retrieval-Augmented Generation for Multi-Hop Queries',
    arxiv: '2401.15391',
    url: 'https://github.com/yixuantt/MultiHop-RAG',
    licence: 'ODC-BY; articles belong to their publishers',
  },
  version: 1,
  scorer: 'exact-or-abstain',
  datasets: ['multihop-rag/MultiHopRAG.json'],
  datasetsOf: ({ passages }) => (passages === 'article' ? { wanted: ['multihop-rag/corpus.json'] } : {}),
  maxNewTokens: 32,
  parameters: z.strictObject({
    passages: z.enum(['article', 'fact']).default('article'),
    passageWords: z.int().min(20).max(2000).default(180),
    ...LAYOUT_FIELDS,
    ...RECORDS_FIELDS,
  }),
  size: ({ datasets }) => datasets('multihop-rag').size,
  makeSample,
});

const NO_ANSWER = 'Insufficient information';
const INSTRUCTION = `Answer the question at the end from the following passages of news articles. Give only the answer: a name, yes or no. If the passages do not tell, answer: ${NO_ANSWER}.\n\n`;

function makeSample(order: SampleOrder<MultiHopRagParams>) {
  const { params, length, seed, index, datasets } = order;
  const file = datasets('multihop-rag');
  const corpus = params.passages === 'article' ? openIfThere(datasets, 'multihop-rag', 'corpus.json') : undefined;
  const at = recordIndex(params, file.size, seed, index);
  const query = readRecord(file, at, querySchema);
  const random = createRandom(seed, 'multihop_rag others', length, index);
  const passagesOf = (of: Query): NeededDocument[] => evidenceOf(of, corpus, params.passageWords);
  const isNull = query.question_type === 'null_query' || query.evidence_list.length === 0;
  return questionSample('multihop_rag', order, {
    question: query.query,
    references: [isNull ? NO_ANSWER : query.answer],
    needed: isNull ? [] : passagesOf(query),
    own: [],
    instruction: INSTRUCTION,
    more:
      corpus === undefined
        ? factsOfOthers(file, at, query, random, passagesOf)
        : chunksOfOthers(corpus, query, random, params.passageWords),
    stop: ['\n'],
    meta: { type: query.question_type, passages: corpus === undefined ? 'fact' : 'article', answerable: !isNull },
  });
}

const headingOf = (title: string, source?: string | null, date?: string | null): string =>
  [title, ...[source, date?.slice(0, 10)].filter((part) => part !== undefined && part !== null && part !== '')].join(
    ', ',
  );

/** One passage for each article of the evidence, with its facts marked. */
const evidenceOf = (
  { evidence_list: facts }: Query,
  corpus: DatasetFile | undefined,
  words: number,
): NeededDocument[] =>
  facts.map(({ fact, title, source, published_at: date }) => {
    const about = headingOf(title, source, date);
    const text = fact.replace(/\s+/g, ' ').trim();
    const body = corpus?.derived(bodiesOf).get(title);
    const around = body === undefined ? undefined : passageAround(body, text, words);
    return { about, ...(around ?? { text, evidence: [{ start: 0, end: text.length }] }) };
  });

const bodiesOf = (corpus: DatasetFile): ReadonlyMap<string, string> =>
  new Map(
    Array.from({ length: corpus.size }, (_, i) => readRecord(corpus, i, articleSchema)).map(({ title, body }) => [
      title,
      body.replace(/\s+/g, ' ').trim(),
    ]),
  );

/** Whole sentences on both sides of the fact; undefined when the article does not say it in these words. */
const passageAround = (
  body: string,
  fact: string,
  words: number,
): { text: string; evidence: TextSpan[] } | undefined => {
  const at = body.indexOf(fact);
  if (at < 0) return undefined;
  const half = Math.max(0, Math.floor((words - fact.split(' ').length) / 2));
  const before = body
    .slice(0, at)
    .split(' ')
    .slice(-half - 1)
    .join(' ');
  const after = body
    .slice(at + fact.length)
    .split(' ')
    .slice(0, half + 1)
    .join(' ');
  const head = half === 0 ? '' : before.trimStart();
  const text = `${head}${fact}${half === 0 ? '' : after}`.trimEnd();
  return { text, evidence: [{ start: head.length, end: head.length + fact.length }] };
};

const factsOfOthers = (
  file: DatasetFile,
  at: number,
  query: Query,
  random: Random,
  passagesOf: (of: Query) => readonly ShownDocument[],
): QuestionPlan['more'] => {
  const titles = new Set(query.evidence_list.map(({ title }) => title));
  return otherRecords(file.size, at, random, (other) => {
    const found = readRecord(file, other, querySchema);
    return passagesOf(found)
      .filter((_, i) => !titles.has(found.evidence_list[i]!.title))
      .map(({ about, text }) => ({ about, text }));
  });
};

/** Passages of other articles, cut at sentences. Those of one article have its heading, so one of each is given until all had one. */
const chunksOfOthers = (corpus: DatasetFile, query: Query, random: Random, words: number): QuestionPlan['more'] => {
  const titles = new Set(query.evidence_list.map(({ title }) => title));
  return otherRecords(corpus.size, -1, random, (index) => {
    const { title, body, source, published_at: date } = readRecord(corpus, index, articleSchema);
    if (titles.has(title)) return [];
    const chunks = chunksOf(body, words);
    if (chunks.length === 0)
      throw new WinnowError('ERR_DATASET_FORMAT', corpus.where(index), 'a body with words', body);
    return [{ about: headingOf(title, source, date), text: random.pick(chunks) }];
  });
};

const chunksOf = (body: string, words: number): string[] => {
  const chunks: string[][] = [];
  let count = Number.POSITIVE_INFINITY;
  for (const sentence of splitSentences(body)) {
    const length = sentence.split(' ').length;
    if (count + length > words) {
      chunks.push([]);
      count = 0;
    }
    chunks.at(-1)!.push(sentence);
    count += length;
  }
  return chunks.map((sentences) => sentences.join(' '));
};
