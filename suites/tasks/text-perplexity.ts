import { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import { createRandom } from '../../core/random.js';
import { datasetEntry, type OpenDataset } from '../../datasets/index.js';
import { proseSentences } from '../../datasets/prose.js';
import { defineTask, type MadeSample, type SampleOrder } from './define-task.js';
import { checkRecord } from './read-record.js';
import { longestEnd } from './truncate-middle.js';

export interface TextPerplexityParams {
  /** Whose texts: novels and treatises, government reports, or essays that are generated here and need no data. */
  readonly text: 'books' | 'govreport' | 'essay';
  /** Tokens at the end of the text whose probability is measured. */
  readonly continuationTokens: number;
}

/**
 * Perplexity of long texts: the last tokens of a text, given all before. The context may be compressed; the end of it, some 50 tokens, is
 * the question, so that every method sees it whole. The score is the geometric mean of the tokens' probabilities, 1 ÷ perplexity, and so
 * is comparable only under one tokenizer.
 */
export const textPerplexity = defineTask<TextPerplexityParams>({
  id: 'text_perplexity',
  family: 'perplexity',
  description: 'The probability of the next tokens of a long text.',
  source: { title: 'Texts in the public domain, or generated here', licence: 'public domain' },
  version: 1,
  scorer: 'continuation/probability',
  parameters: z.strictObject({
    text: z.enum(['books', 'govreport', 'essay']).default('books'),
    continuationTokens: z.int().min(1).max(4096).default(256),
  }),
  answerTokens: ({ continuationTokens }) => continuationTokens,
  datasetsOf: ({ text }) => ({ needed: text === 'essay' ? [] : [text] }),
  makeSample: (order) => makeSample(order),
});

const makeSample = (order: SampleOrder<TextPerplexityParams>): MadeSample => {
  const { params, length, maxNewTokens, meter, seed, index } = order;
  const room = length - maxNewTokens;
  if (room < 2 * asTail)
    throw new WinnowError(
      'ERR_SUITE',
      'text_perplexity',
      `a length of at least ${2 * asTail + maxNewTokens} tokens`,
      length,
      'Use a longer length.',
    );
  // English has four to five characters a token; texts with less are caught below.
  const { text, name } = excerpt(params.text, { characters: 7 * length, seed, index, datasets: order.datasets });
  const tokensOf = (end: number): number => meter.countPrompt(promptOf(text.slice(0, end)));
  const cut = (end: number): number => Math.max(0, text.lastIndexOf(' ', end));
  let end = cut(longestEnd(text, room, tokensOf));
  while (end > 0 && tokensOf(end) > room) end = cut(end - 1);
  const rest = text.slice(end);
  const size = longestEnd(rest, params.continuationTokens, (characters) => meter.count(rest.slice(0, characters)));
  const continuation = size === rest.length ? rest : rest.slice(0, Math.max(rest.lastIndexOf(' ', size), 0) || size);
  if (continuation.trim() === '')
    throw new WinnowError(
      'ERR_SUITE',
      'text_perplexity',
      `a text of more than ${room} tokens`,
      name,
      'Use a shorter length.',
    );
  return {
    ...promptOf(text.slice(0, end)),
    references: [continuation],
    continuation,
    documents: [],
    evidence: [],
    stop: [],
    meta: { text: name, continuationTokens: meter.count(continuation) },
  };
};

/** About as many tokens are the question. */
const asTail = 50;

const promptOf = (text: string) => {
  const border = Math.max(0, text.lastIndexOf(' ', text.length - 4 * asTail));
  return { context: text.slice(0, border), question: text.slice(border), answerPrefix: '', chatTemplate: false };
};

interface Excerpt {
  readonly characters: number;
  readonly seed: number;
  readonly index: number;
  readonly datasets: OpenDataset;
}

/** A part of one text, from the start of a sentence on. */
const excerpt = (source: TextPerplexityParams['text'], { characters, seed, index, datasets }: Excerpt) => {
  const random = createRandom(seed, 'text_perplexity', source, index);
  if (source === 'essay') return { text: essay(characters, seed, index), name: `essay ${index}` };
  const { text, name } = (source === 'books' ? book : report)(datasets, index);
  const last = Math.max(0, text.length - characters);
  const from = last === 0 ? 0 : random.integer(0, last);
  const stop = text.lastIndexOf('. ', from);
  const sentence = from === 0 || stop < 0 ? 0 : stop + 2;
  return { text: text.slice(sentence, sentence + characters), name };
};

const essay = (characters: number, seed: number, index: number): string => {
  const sentences: string[] = [];
  let size = 0;
  const source = proseSentences(seed, 'text_perplexity', index);
  while (size < characters) {
    const sentence = source.next().value as string;
    sentences.push(sentence);
    size += sentence.length + 1;
  }
  return sentences.join(' ');
};

const Book = z.looseObject({ text: z.string().min(1) });
const book = (datasets: OpenDataset, index: number) => {
  const { files } = datasetEntry('books');
  const { name } = files[index % files.length]!;
  const file = datasets('books', name);
  return { text: spaced(checkRecord(Book, file.record(0), name).text), name };
};

const Report = z.looseObject({ report: z.string().min(1) });
const report = (datasets: OpenDataset, index: number) => {
  const file = datasets('govreport');
  const where = file.where(index % file.size);
  return { text: spaced(checkRecord(Report, file.record(index % file.size), where).report), name: where };
};

/** Paragraphs stay, line ends inside them become spaces. */
const spaced = (text: string): string =>
  text
    .replace(/\r/g, '')
    .replace(/(?<!\n)\n(?!\n)/g, ' ')
    .replace(/[ \t]+/g, ' ');
