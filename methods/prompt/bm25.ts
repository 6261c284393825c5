/** BM25 over words: Robertson and Zaragoza 2009, with the idf of Lucene, which is never negative. */
import type { Bm25 } from '../contract.js';

export interface Bm25Options {
  /** Saturation of repeated words; 1.2–2 are usual. */
  readonly k1: number;
  /** 0: long texts are not held against them, 1: fully. */
  readonly b: number;
}

export const bm25Defaults: Bm25Options = { k1: 1.2, b: 0.75 };

/**
 * score(q, D) = sum over the words t of q of idf(t) tf (k1 + 1) / (tf + k1 (1 - b + b |D| / mean |D|)),
 * idf(t) = ln(1 + (N - df + 0.5) / (df + 0.5)). A word that stands twice in the query counts twice.
 */
export const createBm25 = (texts: readonly string[], { k1, b }: Bm25Options = bm25Defaults): Bm25 => {
  const postings = new Map<string, Map<number, number>>();
  const lengths = texts.map((text, document) => {
    const words = wordsOf(text);
    for (const word of words) {
      const counts = postings.get(word) ?? new Map<number, number>();
      counts.set(document, (counts.get(document) ?? 0) + 1);
      postings.set(word, counts);
    }
    return words.length;
  });
  const meanLength =
    Math.max(
      1,
      lengths.reduce((sum, length) => sum + length, 0),
    ) / Math.max(1, texts.length);
  const idf = (documentFrequency: number): number =>
    Math.log(1 + (texts.length - documentFrequency + 0.5) / (documentFrequency + 0.5));

  return {
    bytes: indexBytes(postings, texts.length),
    scores: (query) => {
      const scores = new Float64Array(texts.length);
      for (const word of wordsOf(query)) {
        const counts = postings.get(word);
        if (counts === undefined) continue;
        for (const [document, tf] of counts) {
          const norm = k1 * (1 - b + (b * lengths[document]!) / meanLength);
          scores[document]! += (idf(counts.size) * tf * (k1 + 1)) / (tf + norm);
        }
      }
      return scores;
    },
  };
};

/** Runs of letters, digits and combining marks in lower case. */
export const wordsOf = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}\p{M}]+/gu) ?? [];

/** As stored flat: each word in UTF-8, 8 bytes a posting (document, count), 4 a document length. */
const indexBytes = (postings: ReadonlyMap<string, ReadonlyMap<number, number>>, documents: number): number => {
  let bytes = 4 * documents;
  for (const [word, counts] of postings) bytes += Buffer.byteLength(word) + 8 * counts.size;
  return bytes;
};
