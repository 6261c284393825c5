/** Retrieval as data: what is asked, what there is to find, and what is right. */
import type { TextSpan } from '../../methods/contract.js';

export interface RetrievalDocument {
  readonly text: string;
  /** Offset in all documents of the query, one after the other. */
  readonly start: number;
}

/** A span of the documents that answers a query. */
export interface Relevant extends TextSpan {
  /** Above 0; 2 is worth twice 1. */
  readonly grade: number;
}

export interface RetrievalQuery {
  readonly id: string;
  readonly question: string;
  /** The same array for all queries of a shared corpus, so that it is indexed once. One document: methods cut it into pieces. */
  readonly documents: readonly RetrievalDocument[];
  readonly relevant: readonly Relevant[];
  /** Grades of what the judgements name and the corpus lacks: they count in the ideal ranking and can never be found. */
  readonly lacking: readonly number[];
  /** Offsets of the documents that may be found; absent: all. */
  readonly candidates?: ReadonlySet<number>;
}

/** Queries over one or many corpora. Lazily, so that samples need not fit in memory together. */
export interface RetrievalSet {
  readonly id: string;
  readonly queries: Iterable<RetrievalQuery>;
}
