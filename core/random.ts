/** Seeded random numbers: the same seed gives the same numbers on every machine, because only 32-bit integer arithmetic is used. */

export interface Random {
  /** Uniform integer in [0, 2^32). */
  uint32(): number;
  /** Uniform in [0, 1), a multiple of 2^-32. */
  float(): number;
  /** Uniform integer in [low, high], both included; high - low < 2^32. */
  integer(low: number, high: number): number;
  pick<T>(items: readonly T[]): T;
  /** `count` different items in random order; throws RangeError when there are fewer. */
  sample<T>(items: readonly T[], count: number): T[];
  /** A shuffled copy. */
  shuffle<T>(items: readonly T[]): T[];
}

/**
 * A stream named by its parts, e.g. `createRandom(seed, 'niah_single_2', 1024, 7)`. Streams with different parts are independent, so
 * what one consumer draws never shifts what another one gets.
 *
 * Generator: sfc32 (128 bits of state, passes PractRand), seeded with four 32-bit hashes of the parts.
 */
export const createRandom = (...parts: readonly (string | number)[]): Random => {
  const name = parts.map((part) => `${typeof part}:${String(part).length}:${part}`).join('|');
  const uint32 = sfc32(hash32(name, 0x9e3779b9), hash32(name, 0x243f6a88), hash32(name, 0xb7e15162), hash32(name, 1));

  const below = (bound: number): number => {
    // Rejection keeps every value equally likely; at most half of the draws are thrown away.
    const limit = 2 ** 32 - (2 ** 32 % bound);
    let value = uint32();
    while (value >= limit) value = uint32();
    return value % bound;
  };
  const sample = <T>(items: readonly T[], count: number): T[] => {
    if (count > items.length) throw new RangeError(`sample: ${count} items asked of ${items.length}`);
    const pool = [...items];
    for (let i = 0; i < count; i++) {
      const j = i + below(pool.length - i);
      [pool[i], pool[j]] = [pool[j]!, pool[i]!];
    }
    return pool.slice(0, count);
  };
  return {
    uint32,
    float: () => uint32() / 2 ** 32,
    integer: (low, high) => low + below(high - low + 1),
    pick: (items) => {
      if (items.length === 0) throw new RangeError('pick: no items');
      return items[below(items.length)]!;
    },
    sample,
    shuffle: (items) => sample(items, items.length),
  };
};

const sfc32 = (a: number, b: number, c: number, d: number): (() => number) => {
  const next = (): number => {
    const sum = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  // Similar seeds give similar first outputs; twelve rounds decorrelate them (the author's recommendation).
  for (let i = 0; i < 12; i++) next();
  return next;
};

/** MurmurHash3's 32-bit finaliser over UTF-16 code units, each taken as one 32-bit block. */
const hash32 = (text: string, seed: number): number => {
  let hash = seed | 0;
  for (let i = 0; i < text.length; i++) {
    let block = Math.imul(text.charCodeAt(i), 0xcc9e2d51);
    block = Math.imul((block << 15) | (block >>> 17), 0x1b873593);
    hash ^= block;
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  hash ^= text.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
};
