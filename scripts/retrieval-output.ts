/** What `winnow retrieval` prints and writes. */
import { stringify } from 'csv-stringify/sync';
import type { RetrievalSummary } from '../suites/retrieval/index.js';
import { alignColumns } from './columns.js';

export interface RetrievalRow {
  readonly set: string;
  readonly method: string;
  readonly budget: { readonly keptFraction?: number; readonly tokenBudget?: number };
  /** Of the whole evaluation; not a measurement of the method's latency. */
  readonly elapsedMs: number;
  readonly summary: RetrievalSummary;
}

const share = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(3));
const whole = (value: number): string => String(Math.round(value));

export const retrievalTable = (rows: readonly RetrievalRow[]): string => {
  const rankings = rows.map(({ method, summary }) => [
    method,
    summary.ndcgAt10 === undefined
      ? ''
      : `${share(summary.ndcgAt10.mean)} [${share(summary.ndcgAt10.low)}, ${share(summary.ndcgAt10.high)}]`,
    share(summary.ranking?.recallAt1),
    share(summary.ranking?.recallAt10),
    share(summary.ranking?.hitAt10),
    share(summary.ranking?.reciprocalRankAt10),
    share(summary.evidencePrecision),
    share(summary.evidenceRecall),
    whole(summary.fedTokens),
    whole(summary.indexBytes),
    whole(summary.auxiliaryTokens),
  ]);
  const heads = [
    'method',
    'nDCG@10',
    'R@1',
    'R@10',
    'hit@10',
    'MRR@10',
    'evidence precision',
    'evidence recall',
    'tokens fed',
    'index bytes',
    'auxiliary tokens',
  ];
  const pieces = rows.flatMap(({ method, summary: { pieces: p, evidenceCut } }) =>
    p === undefined
      ? []
      : [
          [
            method,
            whole(p.pieces),
            `${whole(p.shortestTokens)} / ${whole(p.medianTokens)} / ${whole(p.longestTokens)}`,
            share(p.tokensSpread),
            share(p.coverage),
            p.overlap.toFixed(2),
            share(p.cutsAtSentences),
            share(evidenceCut),
          ],
        ],
  );
  const pieceHeads = [
    'method',
    'pieces',
    'tokens least / median / most',
    'spread',
    'coverage',
    'overlap',
    'cuts at sentences',
    'evidence cut',
  ];
  const { set, summary } = rows[0]!;
  return [
    `${set}: ${summary.queries} queries, ${summary.judged} with something to find`,
    '',
    alignColumns([heads, ...rankings]),
    '',
    alignColumns([pieceHeads, ...pieces]),
  ].join('\n');
};

/** One line a method; columns are named as the fields of the summary. What was not measured is empty. */
export const retrievalCsv = (rows: readonly RetrievalRow[]): string => {
  const records = rows.map(({ set, method, budget, summary: { ndcgAt10, ranking, pieces, ...rest } }) => ({
    set,
    method,
    keptFraction: budget.keptFraction,
    tokenBudget: budget.tokenBudget,
    ...rest,
    ...ranking,
    ndcgAt10Low: ndcgAt10?.low,
    ndcgAt10High: ndcgAt10?.high,
    ...pieces,
  }));
  const columns = [...new Set(records.flatMap((record) => Object.keys(record)))];
  return stringify(records, { header: true, columns, escape_formulas: true });
};
