/** Measures of a ranking. Ranks count from 1; grades are 0 for what is not relevant. */

export interface RankingMeasures {
  /** Gain = grade, discount log2(rank + 1), over the ideal ranking: trec_eval's ndcg_cut, BEIR's and LMEB's headline. */
  readonly ndcgAt10: number;
  readonly recallAt1: number;
  readonly recallAt5: number;
  readonly recallAt10: number;
  /** Found among the first 10 ÷ the smaller of 10 and all that is relevant (LMEB's R_cap@10): 1 can be reached. */
  readonly cappedRecallAt10: number;
  /** Something relevant, and all of it, among the first 10 (LongMemEval's recall_any and recall_all). */
  readonly hitAt10: number;
  readonly allAt10: number;
  /** 1 ÷ rank of the first relevant one among the first 10, else 0. */
  readonly reciprocalRankAt10: number;
}

/**
 * `ranked` holds the grade at each rank; `lacking` the grades of relevant items that were never ranked. Undefined where nothing is
 * relevant: such a query says nothing about a ranking, and trec_eval leaves it out of the mean as well.
 */
export const rankingMeasures = (
  ranked: readonly number[],
  lacking: readonly number[] = [],
): RankingMeasures | undefined => {
  const ideal = [...ranked, ...lacking].filter((grade) => grade > 0).sort((a, b) => b - a);
  if (ideal.length === 0) return undefined;
  const found = (k: number): number => ranked.slice(0, k).filter((grade) => grade > 0).length;
  const first = ranked.findIndex((grade) => grade > 0);
  return {
    ndcgAt10: discounted(ranked, 10) / discounted(ideal, 10),
    recallAt1: found(1) / ideal.length,
    recallAt5: found(5) / ideal.length,
    recallAt10: found(10) / ideal.length,
    cappedRecallAt10: found(10) / Math.min(10, ideal.length),
    hitAt10: found(10) > 0 ? 1 : 0,
    allAt10: found(10) === ideal.length ? 1 : 0,
    reciprocalRankAt10: first >= 0 && first < 10 ? 1 / (first + 1) : 0,
  };
};

const discounted = (grades: readonly number[], k: number): number =>
  grades.slice(0, k).reduce((sum, grade, i) => sum + grade / Math.log2(i + 2), 0);
