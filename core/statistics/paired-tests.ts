import { createRandom } from '../random.js';

/** Which side of "no difference" counts as evidence: `less` = differences lie below 0. */
export type Alternative = 'two-sided' | 'less' | 'greater';

export interface PairedTest {
  readonly p: number;
  /** `none`: no pair differs, so p is 1 by definition. */
  readonly method: 'none' | 'exact' | 'monte-carlo';
  /** Of a Monte Carlo p: one standard error of the simulation. */
  readonly standardError?: number;
}

/**
 * Exact McNemar test: pairs that changed for the worse against pairs that changed for the better, which without a difference is a fair
 * coin. Pairs that agree say nothing.
 */
export const mcnemarExact = (worse: number, better: number, alternative: Alternative = 'two-sided'): number => {
  const n = worse + better;
  if (alternative === 'less') return upperTail(n, worse);
  if (alternative === 'greater') return upperTail(n, better);
  return Math.min(1, 2 * upperTail(n, Math.max(worse, better)));
};

/** P(X >= k) of X ~ Binomial(n, 1/2). */
const upperTail = (n: number, k: number): number => {
  if (k <= 0) return 1;
  // Below the middle the tail is nearly 1 and its complement is summed; above it the first term is the largest.
  if (2 * k < n + 1) return 1 - upperTail(n, n - k + 1);
  let log = -n * Math.LN2;
  for (let i = 1; i <= n - k; i++) log += Math.log((k + i) / i);
  let term = Math.exp(log);
  let total = 0;
  for (let i = k; i <= n && term > 0; i++) {
    total += term;
    term *= (n - i) / (i + 1);
  }
  return Math.min(1, total);
};

export interface SignFlipOptions {
  readonly alternative?: Alternative;
  /** Of the simulation, where the exact distribution is too large. */
  readonly seed?: number;
  readonly draws?: number;
}

/**
 * Sign-flip permutation test that the mean of paired differences is 0: without a difference each sign is a fair coin.
 *
 * Exact where all differences have one size (then it is McNemar's test), where they are multiples of one step (scores in quarters or
 * thirds), and for up to 20 differences of any size; above that `draws` random sign patterns, p = (1 + hits) / (1 + draws), with the
 * standard error of that p. Differences of 0 say nothing and are left out.
 */
export const signFlipTest = (
  differences: ArrayLike<number>,
  { alternative = 'two-sided', seed = 1, draws = 20_000 }: SignFlipOptions = {},
): PairedTest => {
  const moved = Float64Array.from(differences).filter((value) => Math.abs(value) > noise);
  if (moved.length === 0) return { p: 1, method: 'none' };
  const size = Math.abs(moved[0]!);
  if (moved.every((value) => Math.abs(Math.abs(value) - size) <= noise)) {
    const better = moved.filter((value) => value > 0).length;
    return { p: mcnemarExact(moved.length - better, better, alternative), method: 'exact' };
  }
  const steps = onLattice(moved);
  if (steps !== undefined) return { p: latticeP(steps, alternative), method: 'exact' };
  if (moved.length <= mostEnumerated) return { p: enumeratedP(moved, alternative), method: 'exact' };
  const p = (1 + simulatedHits(moved, alternative, seed, draws)) / (1 + draws);
  return { p, method: 'monte-carlo', standardError: Math.sqrt((p * (1 - p)) / draws) };
};

/**
 * Wilcoxon's signed-rank test: the sign-flip test on the ranks of the sizes (mid-ranks for ties, zeros left out), exact. For times, whose
 * outliers would rule a mean.
 */
export const signedRankTest = (differences: ArrayLike<number>, alternative: Alternative = 'two-sided'): PairedTest =>
  signFlipTest(signedRanks(differences), { alternative });

const signedRanks = (differences: ArrayLike<number>): number[] => {
  const moved = Array.from(differences).filter((value) => value !== 0);
  const sizes = moved.map(Math.abs);
  const ranks = midRanks(sizes);
  return moved.map((value, i) => Math.sign(value) * ranks[i]!);
};

/** Rank of each value from 1, ties at the middle of the ranks they take. */
export const midRanks = (values: ArrayLike<number>): Float64Array => {
  const order = Array.from(values, (_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const ranks = new Float64Array(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && values[order[to]!] === values[order[from]!]) to++;
    for (let i = from; i < to; i++) ranks[order[i]!] = (from + to + 1) / 2;
    from = to;
  }
  return ranks;
};

/** Differences of scores carry rounding of a few units in the last place; smaller than this is no difference. */
const noise = 1e-12;
const mostEnumerated = 20;
/** Denominators tried for a common step, and the most work that its exact distribution may take. */
const largestDenominator = 120;
const mostLatticeWork = 5e7;

/** The values as whole multiples of a common step, where there is one that keeps the exact distribution small. */
const onLattice = (values: Float64Array): Int32Array | undefined => {
  for (let denominator = 1; denominator <= largestDenominator; denominator++) {
    const scaled = Int32Array.from(values, (value) => Math.round(value * denominator));
    if (!values.every((value, i) => Math.abs(value * denominator - scaled[i]!) <= 1e-9)) continue;
    const span = scaled.reduce((total, value) => total + Math.abs(value), 0);
    return span * scaled.length <= mostLatticeWork ? scaled : undefined;
  }
  return undefined;
};

/** Distribution of the sum of the positive ones among randomly signed whole numbers, one value after the other. */
const latticeP = (values: Int32Array, alternative: Alternative): number => {
  const sizes = values.map(Math.abs);
  const span = sizes.reduce((total, size) => total + size, 0);
  const share = new Float64Array(span + 1);
  share[0] = 1;
  let reached = 0;
  for (const size of sizes) {
    reached += size;
    for (let at = reached; at >= 0; at--) share[at] = 0.5 * share[at]! + (at >= size ? 0.5 * share[at - size]! : 0);
  }
  // Sum of all = 2 * positives - span.
  const observed = values.reduce((total, value) => total + value, 0);
  let p = 0;
  for (let positives = 0; positives <= span; positives++)
    if (isExtreme(2 * positives - span, observed, alternative, 0)) p += share[positives]!;
  return Math.min(1, p);
};

const isExtreme = (sum: number, observed: number, alternative: Alternative, tie: number): boolean =>
  alternative === 'less'
    ? sum <= observed + tie
    : alternative === 'greater'
      ? sum >= observed - tie
      : Math.abs(sum) >= Math.abs(observed) - tie;

const total = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0);
/** Sums of the same sizes in another order differ in the last bits; those are ties. */
const tieOf = (values: Float64Array): number => noise * values.reduce((sum, value) => sum + Math.abs(value), 0);

const enumeratedP = (values: Float64Array, alternative: Alternative): number => {
  const [observed, tie] = [total(values), tieOf(values)];
  const low = signedSums(values.subarray(0, values.length >> 1));
  const high = signedSums(values.subarray(values.length >> 1));
  let hits = 0;
  for (const a of low) for (const b of high) if (isExtreme(a + b, observed, alternative, tie)) hits++;
  return hits / 2 ** values.length;
};

/** Sums of all sign patterns of a few values: pattern bit i set keeps value i as it is. */
const signedSums = (values: Float64Array): Float64Array => {
  const sums = new Float64Array(2 ** values.length);
  for (let pattern = 0; pattern < sums.length; pattern++)
    for (let i = 0; i < values.length; i++) sums[pattern]! += (pattern >> i) & 1 ? values[i]! : -values[i]!;
  return sums;
};

/** A byte of random signs at a time: tables of eight values turn it into their sum. */
const simulatedHits = (values: Float64Array, alternative: Alternative, seed: number, draws: number): number => {
  const [observed, tie] = [total(values), tieOf(values)];
  const tables: Float64Array[] = [];
  for (let i = 0; i < values.length; i += 8) tables.push(signedSums(values.subarray(i, i + 8)));
  const random = createRandom(seed, 'sign-flip', values.length);
  let hits = 0;
  for (let draw = 0; draw < draws; draw++) {
    let sum = 0;
    let bits = 0;
    for (let t = 0; t < tables.length; t++) {
      if ((t & 3) === 0) bits = random.uint32();
      const table = tables[t]!;
      sum += table[bits & (table.length - 1)]!;
      bits >>>= 8;
    }
    if (isExtreme(sum, observed, alternative, tie)) hits++;
  }
  return hits;
};
