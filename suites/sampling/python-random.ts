import { twisterFromWord, twisterFromWords } from './mersenne-twister.js';

/** The part of CPython's `random.Random` (3.9 to 3.13) that upstream generators use: the same seed gives the same draws. */
export interface PythonRandom {
  /** Uniform in [0, 1) with 53 bits. */
  random(): number;
  /** `count` random bits, as hex digits for more than 32. */
  randbits(count: number): bigint;
  /** Both ends included. */
  randint(low: number, high: number): number;
  choice<T>(items: readonly T[]): T;
  /** With replacement. */
  choices<T>(items: readonly T[], count: number): T[];
  /** Without replacement; throws RangeError when there are fewer. */
  sample<T>(items: readonly T[], count: number): T[];
  /** In place, as there. */
  shuffle<T>(items: T[]): void;
  /** `uuid.UUID(int=getrandbits(128), version=4)`. */
  uuid4(): string;
}

/** As `random.Random(seed)` for an integer of at most 53 bits. */
export const pythonRandom = (seed: number): PythonRandom => {
  const size = Math.abs(seed);
  const low = size % 2 ** 32;
  const high = Math.floor(size / 2 ** 32);
  const { uint32 } = twisterFromWords(high === 0 ? [low] : [low, high]);

  const random = (): number => {
    const a = uint32() >>> 5;
    const b = uint32() >>> 6;
    return (a * 67_108_864 + b) / 9_007_199_254_740_992;
  };
  const bits = (count: number): number => uint32() >>> (32 - count);
  const below = (bound: number): number => {
    if (bound === 0) return 0;
    const count = 32 - Math.clz32(bound);
    let value = bits(count);
    while (value >= bound) value = bits(count);
    return value;
  };
  const randbits = (count: number): bigint => {
    let value = 0n;
    for (let done = 0; done < count; done += 32) {
      const wanted = Math.min(32, count - done);
      value |= BigInt(bits(wanted)) << BigInt(done);
    }
    return value;
  };
  const sample = <T>(items: readonly T[], count: number): T[] => {
    const n = items.length;
    if (count > n) throw new RangeError(`sample: ${count} items asked of ${n}`);
    // CPython keeps a set of drawn indices where that is smaller than a copy of the list; the draws differ between the two.
    const setSize = 21 + (count > 5 ? 4 ** Math.ceil(Math.log(count * 3) / Math.log(4)) : 0);
    if (n <= setSize) {
      const pool = [...items];
      return Array.from({ length: count }, (_, i) => {
        const j = below(n - i);
        const drawn = pool[j]!;
        pool[j] = pool[n - i - 1]!;
        return drawn;
      });
    }
    const seen = new Set<number>();
    return Array.from({ length: count }, () => {
      let j = below(n);
      while (seen.has(j)) j = below(n);
      seen.add(j);
      return items[j]!;
    });
  };
  return {
    random,
    randbits,
    randint: (from, to) => from + below(to - from + 1),
    choice: (items) => items[below(items.length)]!,
    choices: (items, count) => Array.from({ length: count }, () => items[Math.floor(random() * items.length)]!),
    sample,
    shuffle: (items) => {
      for (let i = items.length - 1; i > 0; i--) {
        const j = below(i + 1);
        [items[i], items[j]] = [items[j]!, items[i]!];
      }
    },
    uuid4: () => {
      const value = (randbits(128) & ~(0xc000n << 48n) & ~(0xf000n << 64n)) | (0x8000n << 48n) | (4n << 76n);
      const hex = value.toString(16).padStart(32, '0');
      return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
    },
  };
};

/** `np.random.seed(seed)` and its `randint(low, high)`, high left out, for ranges below 2^32. */
export const numpyRandint = (seed: number): ((low: number, high: number) => number) => {
  const { uint32 } = twisterFromWord(seed);
  return (low, high) => {
    const range = high - 1 - low;
    if (range === 0) return low;
    const mask = 2 ** (32 - Math.clz32(range)) - 1;
    let value = (uint32() & mask) >>> 0;
    while (value > range) value = (uint32() & mask) >>> 0;
    return low + value;
  };
};
