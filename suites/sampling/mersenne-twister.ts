/** MT19937, the generator behind Python's `random` and NumPy's legacy `np.random`. */
export interface MersenneTwister {
  /** Uniform integer in [0, 2^32). */
  uint32(): number;
}

const SIZE = 624;
const SHIFT = 397;

/** Seeded by one word, as NumPy's `np.random.seed(n)`. */
export const twisterFromWord = (seed: number): MersenneTwister => twister(stateFromWord(seed));

/** Seeded by a list of words, as CPython's `random.seed(n)` with the 32-bit digits of |n|, lowest first. */
export const twisterFromWords = (key: readonly number[]): MersenneTwister => {
  const state = stateFromWord(19_650_218);
  let i = 1;
  let j = 0;
  for (let k = Math.max(SIZE, key.length); k > 0; k--) {
    state[i] = (state[i]! ^ Math.imul(state[i - 1]! ^ (state[i - 1]! >>> 30), 1_664_525)) + key[j]! + j;
    if (++i >= SIZE) {
      state[0] = state[SIZE - 1]!;
      i = 1;
    }
    if (++j >= key.length) j = 0;
  }
  for (let k = SIZE - 1; k > 0; k--) {
    state[i] = (state[i]! ^ Math.imul(state[i - 1]! ^ (state[i - 1]! >>> 30), 1_566_083_941)) - i;
    if (++i >= SIZE) {
      state[0] = state[SIZE - 1]!;
      i = 1;
    }
  }
  state[0] = 0x8000_0000;
  return twister(state);
};

const stateFromWord = (seed: number): Uint32Array => {
  const state = new Uint32Array(SIZE);
  state[0] = seed;
  for (let i = 1; i < SIZE; i++) state[i] = Math.imul(1_812_433_253, state[i - 1]! ^ (state[i - 1]! >>> 30)) + i;
  return state;
};

const twister = (state: Uint32Array): MersenneTwister => {
  let next = SIZE;
  const refill = (): void => {
    for (let i = 0; i < SIZE; i++) {
      const y = (state[i]! & 0x8000_0000) | (state[(i + 1) % SIZE]! & 0x7fff_ffff);
      state[i] = state[(i + SHIFT) % SIZE]! ^ (y >>> 1) ^ ((y & 1) === 0 ? 0 : 0x9908_b0df);
    }
    next = 0;
  };
  return {
    uint32: () => {
      if (next >= SIZE) refill();
      let y = state[next++]!;
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c_5680;
      y ^= (y << 15) & 0xefc6_0000;
      return (y ^ (y >>> 18)) >>> 0;
    },
  };
};
