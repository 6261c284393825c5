import { type Interval, quantileOfSorted } from './statistics.js';

/**
 * Two quantiles of values without sorting them all: only the order statistics that a quantile is read from are put in their place. The same
 * numbers as `quantileOfSorted` of the sorted values. Reorders `values`, which must hold no NaN.
 */
export const quantilesInPlace = (values: Float64Array, shares: Interval): Interval => {
  const low = quantileInPlace(values, shares.low);
  return { low, high: quantileInPlace(values, shares.high) };
};

const quantileInPlace = (values: Float64Array, share: number): number => {
  const last = values.length - 1;
  const below = Math.floor(Math.min(Math.max(share, 0), 1) * last);
  if (below >= 0) {
    place(values, below);
    if (below < last) placeLeast(values, below + 1);
  }
  return quantileOfSorted(values, share);
};

/** Hoare's selection: afterwards nothing before `k` is larger and nothing after it smaller. */
const place = (values: Float64Array, k: number): void => {
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const pivot = middle(values[low]!, values[(low + high) >> 1]!, values[high]!);
    let [i, j] = [low, high];
    while (i <= j) {
      while (values[i]! < pivot) i++;
      while (values[j]! > pivot) j--;
      if (i > j) break;
      const value = values[i]!;
      values[i++] = values[j]!;
      values[j--] = value;
    }
    if (k <= j) high = j;
    else if (k >= i) low = i;
    else return;
  }
};

const placeLeast = (values: Float64Array, from: number): void => {
  let least = from;
  for (let i = from + 1; i < values.length; i++) if (values[i]! < values[least]!) least = i;
  [values[from], values[least]] = [values[least]!, values[from]!];
};

const middle = (a: number, b: number, c: number): number => Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
