import { z } from 'zod';
import { defineMethod, type PromptIndex, type PromptRequest, type Services } from '../contract.js';
import { declaration } from '../declaration.js';
import { chooseUnits, needsQuestion, type Unit, unitsOf } from './choose-units.js';

const id = 'dense-retrieval-top-k';

/**
 * Dense retrieval top-k: feed only the documents whose vectors lie nearest to the question's, best first until the budget is full, in the
 * order of the text.
 *
 * Works where question and evidence mean the same in other words; a text longer than the embedder takes is ranked by its beginning.
 * Units: tokens of the prompt's context. Cost: one pass of the embedder over the context and the question, counted as auxiliary tokens;
 * the index counts as bytes, 4 for each number. State: none.
 * Throws: ERR_UNSUPPORTED without a question (query-agnostic), or when no document fits the budget; ERR_MISSING without the embedder.
 */
export const denseRetrievalTopK = defineMethod({
  id,
  name: 'Dense retrieval top-k',
  family: 'context',
  source: {
    title: 'Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks',
    arxiv: '1908.10084',
    section: '3',
  },
  deviations: [
    'the score is the cosine of two sentence vectors; every vector is compared, without an approximate index',
    'a context without documents is cut into segments of whole sentences',
    'a document that no longer fits is passed over and the next one tried',
  ],
  training: 'released-weights',
  parameters: z.strictObject({
    embedder: z
      .string()
      .min(1)
      .default('all-minilm-l6-v2')
      .describe('Encoder of the manifest (winnow models pull NAME), or a folder with one.'),
    queryPrefix: z.string().default('').describe('Put before the question, as some embedders want (E5: "query: ").'),
    documentPrefix: z.string().default('').describe('Put before each document (E5: "passage: ").'),
    segmentTokens: z.int().min(8).default(64).describe('Longest segment of a context without documents.'),
  }),
  budgetAxis: 'promptTokens',
  budgetControl: 'bounded',
  declare({ params, protocol }) {
    if (protocol === 'query-agnostic') needsQuestion(id, 'protocol query-agnostic');
    return declaration({ changesPrefill: true, needs: [{ auxiliary: params.embedder }] });
  },
  hooks: ({ params }) => ({
    prompt: {
      index: (documents, use) => indexOf(documents, params, use),
      async build(request, index, use) {
        if (request.question === undefined) return needsQuestion(id, request.question);
        const { units, vectors } = (index ?? (await indexOf(request.documents, params, use))).data as VectorIndex;
        const [question] = await use.embed([params.queryPrefix + request.question], 'single');
        const scores = vectors.map((vector) => cosine(vector, question!));
        return chooseUnits(id, units, scores, request.tokenBudget, use);
      },
    },
  }),
});

interface VectorIndex {
  readonly units: readonly Unit[];
  readonly vectors: readonly Float32Array[];
}

const indexOf = async (
  documents: PromptRequest['documents'],
  { documentPrefix, segmentTokens }: { readonly documentPrefix: string; readonly segmentTokens: number },
  use: Services,
): Promise<PromptIndex> => {
  const units = unitsOf(documents, segmentTokens, use);
  const vectors = await use.embed(
    units.map(({ text }) => documentPrefix + text),
    'single',
  );
  return {
    bytes: vectors.reduce((sum, vector) => sum + vector.byteLength, 0),
    data: { units, vectors } satisfies VectorIndex,
  };
};

/** Zero vectors are near to nothing. */
const cosine = (a: Float32Array, b: Float32Array): number => {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! * a[i]!;
    bb += b[i]! * b[i]!;
  }
  return dot / Math.max(Math.sqrt(aa * bb), 1e-30);
};
