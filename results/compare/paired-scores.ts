import { type ClusteredGroup, clusteredMean, clusterShares } from '../../core/statistics/clustered-mean.js';
import { type Alternative, type PairedTest, signFlipTest } from '../../core/statistics/paired-tests.js';
import { detectableDifference, pairsFor } from '../../core/statistics/power.js';
import { withoutNoise } from '../../core/statistics.js';
import type { Bootstrap, BootstrapOptions, Estimate } from '../../core/statistics-bootstrap.js';

/** Two scores of one sample. The same sample at another length, or asked for something else, is of the same cluster. */
export interface ScorePair {
  readonly cluster: string;
  readonly ours: { readonly score: number };
  readonly theirs: { readonly score: number };
}

/** What paired scores say: ours − theirs, with all that is needed to judge it. */
export interface PairedScores {
  readonly pairs: number;
  readonly worse: number;
  readonly better: number;
  readonly score: number;
  readonly otherScore: number;
  readonly difference: Estimate;
  readonly test: 'mcnemar' | 'sign-flip';
  readonly method: PairedTest['method'];
  readonly p: number;
  readonly pStandardError?: number;
  /** Smallest mean difference that this many pairs find with a power of 0.8; absent where even 1 would be missed. */
  readonly detectable?: number;
  /** Pairs needed to find a difference as large as the margin. */
  readonly pairsForMargin: number;
}

export interface JudgeOptions {
  /** Half-width, in score, of what counts as no loss. */
  readonly margin: number;
  readonly alpha: number;
  readonly alternative: Alternative;
  readonly bootstrap: Bootstrap;
  readonly bootstrapOptions: BootstrapOptions;
}

const range = { low: -1, high: 1 };
const differencesOf = (pairs: readonly ScorePair[]): number[] =>
  pairs.map(({ ours, theirs }) => withoutNoise(ours.score - theirs.score));
const isBinary = (differences: readonly number[]): boolean => differences.every((d) => d === 0 || Math.abs(d) === 1);
const average = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** One cell against another: BCa interval, exact McNemar for right-or-wrong scores and sign flips for graded ones. */
export const judgeCell = (pairs: readonly ScorePair[], options: JudgeOptions): PairedScores => {
  const differences = differencesOf(pairs);
  return {
    ...countsOf([pairs]),
    difference: options.bootstrap.meanOf(differences, range),
    ...testOf(differences, options),
    ...powerOf(pairs.length, average(differences.map((d) => d * d)), isBinary(differences), options),
  };
};

/**
 * One setting against another over several cells, each cell counted once. A sample of a task that stands in several cells is one cluster: it
 * is resampled and flipped as a whole.
 */
export const judgeSetting = (cells: readonly (readonly ScorePair[])[], options: JudgeOptions): PairedScores => {
  const groups: ClusteredGroup[] = cells.map((pairs) => ({
    values: differencesOf(pairs),
    clusters: pairs.map(({ cluster }) => cluster),
  }));
  const shares = clusterShares(groups);
  // A mean of `n` clusters with this mean square has the variance of the sum of the shares.
  const meanSquare = shares.length * shares.reduce((sum, share) => sum + share * share, 0);
  const binary = groups.every(({ values }) => isBinary(Array.from(values)));
  const oneCell = groups.length === 1 && binary;
  return {
    ...countsOf(cells),
    difference: clusteredMean(groups, range, options.bootstrapOptions),
    ...testOf(oneCell ? Array.from(groups[0]!.values) : shares.map((share) => share * shares.length), options),
    ...powerOf(shares.length, meanSquare, binary, options),
  };
};

const countsOf = (cells: readonly (readonly ScorePair[])[]) => {
  const all = cells.flatMap(differencesOf);
  const meanOf = (read: (pair: ScorePair) => number): number =>
    withoutNoise(average(cells.map((pairs) => average(pairs.map(read)))));
  return {
    pairs: all.length,
    worse: all.filter((difference) => difference < 0).length,
    better: all.filter((difference) => difference > 0).length,
    score: meanOf(({ ours }) => ours.score),
    otherScore: meanOf(({ theirs }) => theirs.score),
  };
};

const testOf = (differences: readonly number[], { alternative }: JudgeOptions) => {
  const { p, method, standardError } = signFlipTest(differences, { alternative });
  return {
    test: isBinary(differences) ? ('mcnemar' as const) : ('sign-flip' as const),
    method,
    p,
    ...(standardError === undefined ? {} : { pStandardError: standardError }),
  };
};

const powerOf = (pairs: number, meanSquare: number, binary: boolean, { margin, alpha, alternative }: JudgeOptions) => {
  const sides = alternative === 'two-sided' ? 2 : 1;
  const question = { meanSquare, isBinary: binary, alpha, sides } as const;
  const detectable = detectableDifference(pairs, question);
  return { ...(detectable === undefined ? {} : { detectable }), pairsForMargin: pairsFor(margin, question) };
};
