import { normalQuantile } from '../statistics-normal.js';

export interface PowerQuestion {
  /**
   * Mean square of the paired differences. Of right-or-wrong scores that is the share of discordant pairs; it is what the sign-flip and
   * McNemar tests take for the variance when there is no difference.
   */
  readonly meanSquare: number;
  /** Scores are 0 or 1: a difference of d then moves at least a share d of the pairs. */
  readonly isBinary?: boolean;
  /** Chance of a false alarm, 0.05. */
  readonly alpha?: number;
  /** 1 for a test of one direction. */
  readonly sides?: 1 | 2;
  /** Chance of finding the difference, 0.8. */
  readonly power?: number;
}

/**
 * Pairs needed to find a mean difference d: n = (z_α·√s + z_β·√(s − d²))² / d², s the mean square under that difference (Connor's formula
 * for McNemar's test; for graded scores the same by the central limit theorem).
 */
export const pairsFor = (difference: number, question: PowerQuestion): number => {
  const { alpha = 0.05, sides = 2, power = 0.8 } = question;
  const square = meanSquareAt(difference, question);
  const wanted =
    -normalQuantile(alpha / sides) * Math.sqrt(square) +
    normalQuantile(power) * Math.sqrt(Math.max(0, square - difference ** 2));
  return Math.ceil((wanted / difference) ** 2 - 1e-9);
};

/** The smallest mean difference that `pairs` pairs find with the wanted power; undefined where even a difference of 1 would be missed. */
export const detectableDifference = (pairs: number, question: PowerQuestion): number | undefined => {
  if (!(pairsFor(1, question) <= pairs)) return undefined;
  let [missed, found] = [0, 1];
  for (let i = 0; i < 50; i++) {
    const middle = (missed + found) / 2;
    if (pairsFor(middle, question) <= pairs) found = middle;
    else missed = middle;
  }
  return found;
};

/** A difference needs pairs that differ: what was observed is not enough where the difference itself would bring more of them. */
const meanSquareAt = (difference: number, { meanSquare, isBinary = false }: PowerQuestion): number =>
  Math.max(meanSquare, isBinary ? difference : difference ** 2);
