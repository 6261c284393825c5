/**
 * Similarity of two strings as Python's `difflib.SequenceMatcher(None, a, b).ratio()`, which fuzzywuzzy uses where python-Levenshtein is
 * not installed. Characters are code points. Its `autojunk` rule is kept: in a `b` of 200 or more characters, those that make up more
 * than 1 % of it never start a match.
 *
 * Returns 2 M / (|a| + |b|), M the characters in matching blocks; 1 for two empty strings.
 */
export const sequenceRatio = (a: string, b: string): number => {
  const left = [...a];
  const right = [...b];
  const total = left.length + right.length;
  if (total === 0) return 1;
  return (2 * matchingCharacters(left, right)) / total;
};

interface Block {
  readonly a: number;
  readonly b: number;
  readonly size: number;
}

const matchingCharacters = (a: readonly string[], b: readonly string[]): number => {
  const positions = positionsOf(b);
  let matched = 0;
  const open: [number, number, number, number][] = [[0, a.length, 0, b.length]];
  for (let range = open.pop(); range !== undefined; range = open.pop()) {
    const [aLow, aHigh, bLow, bHigh] = range;
    const block = longestMatch(a, b, positions, aLow, aHigh, bLow, bHigh);
    if (block.size === 0) continue;
    matched += block.size;
    if (aLow < block.a && bLow < block.b) open.push([aLow, block.a, bLow, block.b]);
    if (block.a + block.size < aHigh && block.b + block.size < bHigh)
      open.push([block.a + block.size, aHigh, block.b + block.size, bHigh]);
  }
  return matched;
};

const positionsOf = (b: readonly string[]): ReadonlyMap<string, readonly number[]> => {
  const positions = new Map<string, number[]>();
  b.forEach((char, i) => {
    const list = positions.get(char);
    if (list === undefined) positions.set(char, [i]);
    else list.push(i);
  });
  if (b.length < 200) return positions;
  const most = Math.floor(b.length / 100) + 1;
  for (const [char, list] of positions) if (list.length > most) positions.delete(char);
  return positions;
};

/** The longest block inside the ranges, the earliest in `a` and then in `b`; grown over characters that could not start one. */
const longestMatch = (
  a: readonly string[],
  b: readonly string[],
  positions: ReadonlyMap<string, readonly number[]>,
  aLow: number,
  aHigh: number,
  bLow: number,
  bHigh: number,
): Block => {
  let best: Block = { a: aLow, b: bLow, size: 0 };
  let endingAt = new Map<number, number>();
  for (let i = aLow; i < aHigh; i++) {
    const next = new Map<number, number>();
    for (const j of positions.get(a[i]!) ?? []) {
      if (j < bLow) continue;
      if (j >= bHigh) break;
      const size = (endingAt.get(j - 1) ?? 0) + 1;
      next.set(j, size);
      if (size > best.size) best = { a: i - size + 1, b: j - size + 1, size };
    }
    endingAt = next;
  }
  let { a: aStart, b: bStart, size } = best;
  while (aStart > aLow && bStart > bLow && a[aStart - 1] === b[bStart - 1]) {
    aStart--;
    bStart--;
    size++;
  }
  while (aStart + size < aHigh && bStart + size < bHigh && a[aStart + size] === b[bStart + size]) size++;
  return { a: aStart, b: bStart, size };
};

/** fuzzywuzzy's `fuzz.ratio`: the ratio as a whole percent, halves to the even number; equal strings 100, an empty side 0. */
export const fuzzPercent = (a: string, b: string): number => {
  if (a === b) return 100;
  if (a === '' || b === '') return 0;
  const percent = 100 * sequenceRatio(a, b);
  const floor = Math.floor(percent);
  if (percent - floor !== 0.5) return Math.round(percent);
  return floor % 2 === 0 ? floor : floor + 1;
};
