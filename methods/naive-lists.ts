/** Tensors and ranked lists as plain fp64 arrays: what the naive ops are made of. */
import type { Ragged, Scope, Tensor } from './contract.js';

export interface NaiveTensor extends Tensor {
  readonly data: Float64Array;
}

export const naiveTensor = (
  shape: readonly number[],
  data?: ArrayLike<number>,
  dtype: Tensor['dtype'] = 'f32',
): NaiveTensor => {
  const size = shape.reduce((product, n) => product * n, 1);
  if (data !== undefined && data.length !== size)
    throw new RangeError(`naiveTensor: ${data.length} values for [${shape.join(', ')}]`);
  return { shape, dtype, data: data === undefined ? new Float64Array(size) : Float64Array.from(data) };
};

/** The values of a tensor made by these ops. */
export const dataOf = (tensor: Tensor): Float64Array => (tensor as NaiveTensor).data;

/** The lists of a ragged value, [row][list]; -1 (everything) is written out up to `everything`. */
export const listsOf = (ragged: Ragged, everything: number): number[][][] => {
  const [rows = 0, lists = 0, width = 0] = ragged.values.shape;
  const [values, lens] = [dataOf(ragged.values), dataOf(ragged.lens)];
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: lists }, (_, list) => {
      const at = row * lists + list;
      if (lens[at] === -1) return Array.from({ length: everything }, (_, i) => i);
      return Array.from(values.subarray(at * width, at * width + lens[at]!));
    }),
  );
};

export const padded = (lines: readonly (readonly (readonly number[])[])[], width: number): NaiveTensor =>
  naiveTensor(
    [lines.length, lines[0]?.length ?? 0, width],
    lines.flatMap((row) => row.flatMap((line) => Array.from({ length: width }, (_, i) => line[i] ?? -Infinity))),
  );

export const ragged = (lists: readonly (readonly (readonly number[])[])[], scope: Scope): Ragged => {
  const maxLen = Math.max(0, ...lists.flatMap((row) => row.map((list) => list.length)));
  const heads = lists[0]?.length ?? 0;
  return {
    scope,
    maxLen,
    values: naiveTensor(
      [lists.length, heads, maxLen],
      lists.flatMap((row) => row.flatMap((list) => Array.from({ length: maxLen }, (_, i) => list[i] ?? -1))),
      'i32',
    ),
    lens: naiveTensor(
      [lists.length, heads],
      lists.flatMap((row) => row.map((list) => list.length)),
      'i32',
    ),
  };
};

/** Valid entries by rank: sinks, then the last ones, then by score with ties to the lower index. */
const rankedEntries = (
  line: readonly number[],
  sinks: number,
  recents: number,
): { index: number; tier: number; score: number }[] => {
  const valid = line.flatMap((score, index) => (score === -Infinity ? [] : [{ index, score }]));
  return valid.map(({ index, score }, i) => ({
    index,
    score,
    tier: i < sinks ? 0 : i >= valid.length - recents ? 1 : 2,
  }));
};

const byRank = (
  a: { index: number; tier: number; score: number },
  b: { index: number; tier: number; score: number },
): number => {
  if (a.tier !== b.tier) return a.tier - b.tier;
  if (a.tier === 0) return a.index - b.index;
  if (a.tier === 1) return b.index - a.index;
  return b.score - a.score || a.index - b.index;
};

export const topOf = (line: readonly number[], count: number, sinks: number, recents: number): number[] =>
  rankedEntries(line, sinks, recents)
    .sort(byRank)
    .slice(0, count)
    .map(({ index }) => index)
    .sort((a, b) => a - b);

/** One count over all lists of a row: protected entries first, then by score; ties go to the lower list, then the lower index. */
export const topAcross = (
  lines: readonly (readonly number[])[],
  count: number,
  sinks: number,
  recents: number,
): number[][] => {
  const entries = lines.flatMap((line, list) =>
    rankedEntries(line, sinks, recents).map((entry) => ({ ...entry, list })),
  );
  const free = (entry: { tier: number }): number => (entry.tier === 2 ? 1 : 0);
  const taken = entries
    .sort((a, b) => free(a) - free(b) || b.score - a.score || a.list - b.list || a.index - b.index)
    .slice(0, count);
  return lines.map((_, list) =>
    taken.flatMap((entry) => (entry.list === list ? [entry.index] : [])).sort((a, b) => a - b),
  );
};
