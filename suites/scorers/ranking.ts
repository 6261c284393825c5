import type { Scorer } from '../contract.js';

/**
 * Rank-discounted gain of the first `k` ids beside that of the best order: gains divided by log2(rank + 1), as trec_eval's ndcg_cut.
 * Ids without a gain count 0; 0 when no id has one.
 */
export const ndcg = (ranking: readonly string[], gains: ReadonlyMap<string, number>, k: number): number => {
  const discounted = (values: readonly number[]): number =>
    values.slice(0, k).reduce((sum, gain, rank) => sum + gain / Math.log2(rank + 2), 0);
  const best = discounted([...gains.values()].sort((a, b) => b - a));
  return best === 0 ? 0 : discounted(ranking.map((id) => gains.get(id) ?? 0)) / best;
};

/** The ids of the longest run `3 > 1 > 2` in a text, brackets, colons and the word ID ignored; an id named twice keeps its first place. */
export const parseRanking = (text: string): string[] => {
  const bare = text
    .replace(/[[\]:]/g, '')
    .toLowerCase()
    .replaceAll('id', '');
  let longest = '';
  for (const [run] of bare.matchAll(/\p{Nd}+(?:\s*>\s*\p{Nd}+)*/gu)) if (run.length > longest.length) longest = run;
  return [...new Set(longest.split('>').map((id) => id.trim()))].filter((id) => id !== '');
};

/** References: `id gain`, one for each document that is relevant. */
export const rankingNdcg10: Scorer = (prediction, { references }) =>
  ndcg(parseRanking(prediction), new Map(references.map(gainOf)), 10);

const gainOf = (reference: string): [string, number] => {
  const [id = '', gain = '1'] = reference.split(/\s+/);
  return [id, Number(gain)];
};
