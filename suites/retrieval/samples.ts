import type { Sample } from '../contract.js';
import type { RetrievalQuery, RetrievalSet } from './contract.js';

/**
 * Samples of a task as queries, each over its own context. With `cut` the context is one text that methods have to cut themselves,
 * although the task knows its documents.
 */
export const retrievalOfSamples = (id: string, samples: Iterable<Sample>, cut: boolean): RetrievalSet => ({
  id,
  queries: {
    *[Symbol.iterator]() {
      for (const sample of samples) yield queryOf(sample, cut);
    },
  },
});

const queryOf = (sample: Sample, cut: boolean): RetrievalQuery => {
  const { context, documents, evidence } = sample;
  // Offsets are those of the context from its first document on, so that text before it (the task's instruction) is no piece.
  const spans = documents.length === 0 ? [{ start: 0, end: context.length }] : tiled(sample);
  const first = spans[0]!.start;
  const pieces = spans.map(({ start, end }) => ({ text: context.slice(start, end), start: start - first }));
  const whole = [{ text: context.slice(first, spans.at(-1)!.end), start: 0 }];
  return {
    id: sample.id,
    question: sample.question,
    documents: cut ? whole : pieces,
    relevant: evidence.map(({ start, end }) => ({ start: start - first, end: end - first, grade: 1 })),
    lacking: [],
  };
};

/** Documents with what stands between them added to the one before. */
const tiled = ({ documents, context }: Sample): { start: number; end: number }[] =>
  documents.map(({ start }, i) => ({ start, end: documents[i + 1]?.start ?? context.length }));
