import { z } from 'zod';
import { type Bm25, defineMethod, type PromptIndex, type PromptRequest, type Services } from '../contract.js';
import { declaration } from '../declaration.js';
import { type Bm25Options, bm25Defaults, createBm25 } from './bm25.js';
import { chooseUnits, needsQuestion, type Unit, unitsOf } from './choose-units.js';

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
    if (protocol === 'query-agnostic') needsQuestion('bm25-top-k', 'protocol query-agnostic');
    return declaration({ changesPrefill: true });
  },
  hooks: ({ params }) => ({
    prompt: {
      index: async (documents, use) => indexOf(documents, params, use),
      build: async (request, index, use) => {
        if (request.question === undefined) return needsQuestion('bm25-top-k', request.question);
        const { units, bm25 } = (index ?? indexOf(request.documents, params, use)).data as Bm25Index;
        return chooseUnits('bm25-top-k', units, bm25.scores(request.question), request.tokenBudget, use);
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
