import { mean } from '../../core/statistics.js';
import { createBootstrap, type Estimate } from '../../core/statistics-bootstrap.js';
import type { QueryRetrieval } from './evaluate.js';
import type { PieceMeasures } from './piece-measures.js';
import type { RankingMeasures } from './ranking-measures.js';

/** Means over queries. A measure that no query has is absent. */
export interface RetrievalSummary {
  readonly queries: number;
  /** Queries that have something to find: rankings are averaged over these. */
  readonly judged: number;
  readonly ndcgAt10?: Estimate;
  readonly ranking?: RankingMeasures;
  readonly evidencePrecision?: number;
  readonly evidenceRecall?: number;
  readonly evidenceCut?: number;
  readonly fedTokens: number;
  /** Over corpora as the queries meet them. */
  readonly pieces?: PieceMeasures;
  readonly indexBytes: number;
  readonly auxiliaryTokens: number;
}

const DRAWS = 2_000;

/** Throws nothing; `queries` is not empty. */
export const summariseRetrieval = (queries: readonly QueryRetrieval[]): RetrievalSummary => {
  const rankings = queries.flatMap(({ ranking }) => ranking ?? []);
  const pieces = queries.flatMap((query) => query.pieces ?? []);
  const bootstrap = createBootstrap({ seed: 0, draws: DRAWS });
  return {
    queries: queries.length,
    judged: rankings.length,
    ...(rankings.length === 0
      ? {}
      : {
          ndcgAt10: bootstrap.meanOf(
            rankings.map(({ ndcgAt10 }) => ndcgAt10),
            { low: 0, high: 1 },
          ),
          ranking: meanOfFields(rankings),
        }),
    ...optionalMean('evidencePrecision', queries),
    ...optionalMean('evidenceRecall', queries),
    ...optionalMean('evidenceCut', queries),
    fedTokens: mean(queries.map(({ fedTokens }) => fedTokens)),
    ...(pieces.length === 0 ? {} : { pieces: meanOfFields(pieces) }),
    indexBytes: mean(queries.map(({ indexBytes }) => indexBytes)),
    auxiliaryTokens: mean(queries.map(({ auxiliaryTokens }) => auxiliaryTokens)),
  };
};

/** Field by field; a field that some records lack is averaged over those that have it. */
const meanOfFields = <T extends object>(records: readonly T[]): T => {
  const names = new Set(records.flatMap((record) => Object.keys(record)));
  const means = [...names].map((name) => {
    const values = records.flatMap((record) => (record as Record<string, number | undefined>)[name] ?? []);
    return [name, mean(values)];
  });
  return Object.fromEntries(means) as T;
};

const optionalMean = <K extends 'evidencePrecision' | 'evidenceRecall' | 'evidenceCut'>(
  name: K,
  queries: readonly QueryRetrieval[],
): { readonly [name in K]?: number } => {
  const values = queries.flatMap((query) => query[name] ?? []);
  return (values.length === 0 ? {} : { [name]: mean(values) }) as { readonly [name in K]?: number };
};
