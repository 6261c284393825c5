/** Quantities as people write them in suite files and on the command line. */

const FACTORS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 * 1024 };

/** Tokens of a length: `4096`, `4k` = 4096, `1m` = 1048576. Undefined when it is not a whole number of 1 or more. */
export const parseLength = (value: string | number): number | undefined => {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 1 ? value : undefined;
  const match = /^(\d+(?:\.\d+)?)([km]?)$/.exec(value.trim().toLowerCase());
  if (match === null) return undefined;
  const tokens = Number(match[1]) * FACTORS[match[2]!]!;
  return Number.isSafeInteger(tokens) && tokens >= 1 ? tokens : undefined;
};

/** The shortest spelling that parseLength reads back: 4096 is `4k`, 1000 stays `1000`. */
export const formatLength = (tokens: number): string => {
  for (const suffix of ['m', 'k'] as const) {
    const factor = FACTORS[suffix]!;
    if (tokens >= factor && tokens % factor === 0) return `${tokens / factor}${suffix}`;
  }
  return String(tokens);
};

/** Bytes of a memory: `8g` = 8 x 2^30, `512m`, `64k`. Undefined when it is not a whole number of bytes, 1 or more. */
export const parseMemory = (value: string | number): number | undefined => {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 1 ? value : undefined;
  const match = /^(\d+(?:\.\d+)?)([kmg]?)$/.exec(value.trim().toLowerCase());
  if (match === null) return undefined;
  const bytes = Number(match[1]) * 1024 ** ['', 'k', 'm', 'g'].indexOf(match[2]!);
  return Number.isSafeInteger(bytes) && bytes >= 1 ? bytes : undefined;
};

/** A share of what is kept, in (0, 1]: `0.25`, `25%`. Undefined when it is anything else. */
export const parseFraction = (value: string | number): number | undefined => {
  const match = typeof value === 'number' ? null : /^(\d*\.?\d+)(%?)$/.exec(value.trim());
  if (typeof value !== 'number' && match === null) return undefined;
  const fraction = typeof value === 'number' ? value : Number(match![1]) / (match![2] === '%' ? 100 : 1);
  return fraction > 0 && fraction <= 1 ? fraction : undefined;
};
