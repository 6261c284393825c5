import { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import {
  type Bm25,
  defineMethod,
  type PromptIndex,
  type PromptRequest,
  type PromptResult,
  type Services,
} from '../contract.js';
import { declaration } from '../declaration.js';
import { type Bm25Options, bm25Defaults, createBm25 } from './bm25.js';
import { sentenceSegments } from './segments.js';

/**
 * BM25 top-k: feed only the documents that share words with the question, best first until the budget is full, in the order of the text.
 *
 * Works when question and evidence use the same words; a second hop that the question does not name is lost.
 * Units: tokens of the prompt's context. Cost: no model call; the index counts as bytes. State: none.
 * Throws: ERR_UNSUPPORTED without a question (query-agnostic), or when no document fits the budget.
 */
export const bm25TopK = defineMethod({
  id: 'bm25-top-k',
  name: 'BM25 top-k',
  family: 'context',
  source: {
    title: 'The Probabilistic Relevance Framework: BM25 and Beyond',
    url: 'https://doi.org/10.1561/1500000019',
    section: '3',
  },
  deviations: [
    'idf is ln(1 + (N - df + 0.5) / (df + 0.5)) as in Lucene, which is never negative',
    'a context without documents is cut into segments of whole sentences',
    'a document that no longer fits is passed over and the next one tried',
  ],
  training: 'none',
  parameters: z.strictObject({
    k1: z.number().min(0).max(10).default(bm25Defaults.k1).describe('Saturation of repeated words (1.2 in Lucene).'),
    b: z.number().min(0).max(1).default(bm25Defaults.b).describe('Weight of the document length (0.75 in the paper).'),
    segmentTokens: z.int().min(8).default(64).describe('Longest segment of a context without documents.'),
  }),
  budgetAxis: 'promptTokens',
  budgetControl: 'bounded',
  declare: ({ protocol }) => {
    if (protocol === 'query-agnostic') {
      throw new WinnowError(
        'ERR_UNSUPPORTED',
        'bm25-top-k',
        'a question to rank by',
        'protocol query-agnostic',
        'Use query-aware.',
      );
    }
    return declaration({ changesPrefill: true });
  },
  hooks: ({ params }) => ({
    prompt: {
      index: async (documents, use) => indexOf(documents, params, use),
      build: async (request, index, use) => {
        if (request.question === undefined) {
          throw new WinnowError(
            'ERR_UNSUPPORTED',
            'bm25-top-k',
            'a question to rank by',
            request.question,
            'Use query-aware.',
          );
        }
        const { units, bm25 } = (index ?? indexOf(request.documents, params, use)).data as Bm25Index;
        return chooseUnits(units, bm25.scores(request.question), request.tokenBudget, use);
      },
    },
  }),
});

interface Bm25Index {
  readonly units: readonly Unit[];
  readonly bm25: Bm25;
}

const indexOf = (
  documents: PromptRequest['documents'],
  params: Bm25Options & { readonly segmentTokens: number },
  use: Services,
): PromptIndex => {
  const units = unitsOf(documents, params.segmentTokens, use);
  const bm25 = createBm25(
    units.map(({ text }) => text),
    params,
  );
  return { bytes: bm25.bytes, data: { units, bm25 } satisfies Bm25Index };
};

/** A stretch of the context that is fed whole or not at all. */
interface Unit {
  readonly text: string;
  readonly start: number;
}

const unitsOf = (documents: PromptRequest['documents'], segmentTokens: number, use: Services): Unit[] => {
  const [only] = documents;
  if (documents.length !== 1 || only === undefined) return [...documents];
  return sentenceSegments(only.text, segmentTokens, use.countTokens).map(({ start, end }) => ({
    text: only.text.slice(start, end),
    start: only.start + start,
  }));
};

const chooseUnits = (
  units: readonly Unit[],
  scores: Float64Array,
  tokenBudget: number,
  use: Services,
): PromptResult => {
  const ranked = units
    .map((unit, i) => ({ ...unit, score: scores[i]!, tokens: use.countTokens(unit.text) }))
    .sort((a, b) => b.score - a.score || a.start - b.start);
  const chosen: (typeof ranked)[number][] = [];
  let tokens = 0;
  for (const unit of ranked) {
    if (tokens + unit.tokens > tokenBudget) continue;
    chosen.push(unit);
    tokens += unit.tokens;
  }
  // Tokens may form or break where two units meet, so the joined text decides; the worst of the chosen gives way.
  while (chosen.length > 0 && use.countTokens(joined(chosen)) > tokenBudget) chosen.pop();
  if (chosen.length === 0) {
    const shortest = Math.min(...ranked.map((unit) => unit.tokens));
    const where = `bm25-top-k at ${tokenBudget} prompt tokens`;
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      where,
      `at least ${shortest} tokens, the shortest piece`,
      tokenBudget,
      'Raise the budget.',
    );
  }
  return {
    parts: inOrder(chosen).map(({ text, start }) => ({
      role: 'document',
      text,
      stands: [{ start, end: start + text.length }],
    })),
    ranking: ranked.map(({ start, score }) => ({ start, score })),
  };
};

const inOrder = <U extends Unit>(units: readonly U[]): U[] => [...units].sort((a, b) => a.start - b.start);

const joined = (units: readonly Unit[]): string =>
  inOrder(units)
    .map(({ text }) => text)
    .join('');
