import { WinnowError } from '../core/errors.js';
import { suggestName } from '../core/nearest-name.js';
import { parseFraction, parseLength, parseMemory } from '../core/units.js';
import type { Flag } from './command.js';

/** Constructors of flags: each turns the words of the command line into one typed value or one clear error. */

export const flag = (describe: string): Flag<boolean> => ({
  describe,
  takes: 'nothing',
  parse: (words) => words.length > 0 && words.at(-1) !== 'false',
});

const one = (words: readonly string[], name: string): string | undefined => {
  if (words.length > 1) throw new WinnowError('ERR_USAGE', name, 'one value', words.join(' '), 'Give it once.');
  const word = words[0];
  if (word === '') throw new WinnowError('ERR_USAGE', name, 'a value', '', `Write ${name} VALUE.`);
  return word;
};

export const text = (describe: string, placeholder: string): Flag<string | undefined> => ({
  describe,
  placeholder,
  takes: 'value',
  parse: one,
});

export const choice = <const T extends string>(describe: string, choices: readonly T[]): Flag<T | undefined> => ({
  describe,
  choices,
  takes: 'value',
  parse(words, name) {
    const word = one(words, name);
    if (word === undefined) return undefined;
    return oneOf(word, choices, name);
  },
});

const oneOf = <T extends string>(word: string, choices: readonly T[], name: string): T => {
  const found = choices.find((known) => known === word);
  if (found === undefined) {
    throw new WinnowError('ERR_USAGE', name, `one of ${choices.join(', ')}`, word, suggestName(word, choices));
  }
  return found;
};

export const whole = (describe: string, placeholder: string, minimum: number): Flag<number | undefined> => ({
  describe,
  placeholder,
  takes: 'value',
  parse(words, name) {
    const word = one(words, name);
    return word === undefined ? undefined : wholeNumber(word, name, minimum);
  },
});

const wholeNumber = (word: string, name: string, minimum: number): number => {
  const value = /^-?\d+$/.test(word) ? Number(word) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < minimum) {
    throw new WinnowError(
      'ERR_USAGE',
      name,
      `a whole number of ${minimum} or more`,
      word,
      `Write ${name} ${Math.max(minimum, 1)}.`,
    );
  }
  return value;
};

/** A decimal number; what range makes sense is for the command to say. */
export const decimal = (describe: string, placeholder: string): Flag<number | undefined> => ({
  describe,
  placeholder,
  takes: 'value',
  parse(words, name) {
    const word = one(words, name);
    if (word === undefined) return undefined;
    const value = /^-?\d+(\.\d+)?(e-?\d+)?$/i.test(word) ? Number(word) : Number.NaN;
    if (Number.isFinite(value)) return value;
    throw new WinnowError('ERR_USAGE', name, 'a number', word, `Write ${name} 0.7.`);
  },
});

const split = (words: readonly string[], name: string): string[] => {
  const parts = words.flatMap((word) => word.split(',')).map((part) => part.trim());
  if (parts.some((part) => part === '')) {
    throw new WinnowError('ERR_USAGE', name, 'values between commas', words.join(' '), 'Take the empty one out.');
  }
  return [...new Set(parts)];
};

/** Undefined when not given, so that the suite's own list stays. */
export const names = (describe: string, placeholder: string): Flag<readonly string[] | undefined> => ({
  describe,
  placeholder,
  takes: 'values',
  parse: (words, name) => (words.length === 0 ? undefined : split(words, name)),
});

/** One text for each time the flag is given, commas and all. */
export const words = (describe: string, placeholder: string): Flag<readonly string[] | undefined> => ({
  describe,
  placeholder,
  takes: 'value',
  parse: (given) => (given.length === 0 ? undefined : given),
});

export const choices = <const T extends string>(
  describe: string,
  known: readonly T[],
): Flag<readonly T[] | undefined> => ({
  describe,
  choices: known,
  takes: 'values',
  parse: (words, name) => (words.length === 0 ? undefined : split(words, name).map((word) => oneOf(word, known, name))),
});

/** Lengths in tokens: `4096`, `4k` (1k = 1024). */
export const lengths = (describe: string): Flag<readonly number[] | undefined> => ({
  describe,
  placeholder: 'N|4k',
  takes: 'values',
  parse: (words, name) => (words.length === 0 ? undefined : split(words, name).map((word) => lengthOf(word, name))),
});

export const length = (describe: string): Flag<number | undefined> => ({
  describe,
  placeholder: 'N|4k',
  takes: 'value',
  parse(words, name) {
    const word = one(words, name);
    return word === undefined ? undefined : lengthOf(word, name);
  },
});

const lengthOf = (word: string, name: string): number => {
  const tokens = parseLength(word);
  if (tokens === undefined) {
    throw new WinnowError('ERR_USAGE', name, 'a length in tokens such as 4096 or 4k', word, `Write ${name} 4k.`);
  }
  return tokens;
};

const fractionOf = (word: string, name: string): number => {
  const value = parseFraction(word);
  if (value === undefined) {
    throw new WinnowError('ERR_USAGE', name, 'a fraction kept, above 0 and at most 1', word, `Write ${name} 0.5.`);
  }
  return value;
};

export const fraction = (describe: string): Flag<number | undefined> => ({
  describe,
  placeholder: 'F',
  takes: 'value',
  parse(words, name) {
    const word = one(words, name);
    return word === undefined ? undefined : fractionOf(word, name);
  },
});

export const fractions = (describe: string): Flag<readonly number[] | undefined> => ({
  describe,
  placeholder: 'F',
  takes: 'values',
  parse: (words, name) => (words.length === 0 ? undefined : split(words, name).map((word) => fractionOf(word, name))),
});

/** Whole numbers; an empty word between commas is an error, an empty list is not asked for. */
export const wholes = (
  describe: string,
  placeholder: string,
  minimum: number,
): Flag<readonly number[] | undefined> => ({
  describe,
  placeholder,
  takes: 'values',
  parse: (words, name) =>
    words.length === 0 ? undefined : split(words, name).map((word) => wholeNumber(word, name, minimum)),
});

/** Rows of batches: whole numbers up to `most`, or `largest`. */
export const batchSizes = (describe: string, most: number): Flag<readonly (number | 'largest')[] | undefined> => ({
  describe,
  placeholder: 'N|largest',
  takes: 'values',
  parse(words, name) {
    if (words.length === 0) return undefined;
    return split(words, name).map((word) => {
      if (word === 'largest') return word;
      const rows = wholeNumber(word, name, 1);
      if (rows <= most) return rows;
      throw new WinnowError('ERR_USAGE', name, `1 to ${most} rows, or largest`, word, `Write ${name} largest.`);
    });
  },
});

/** Bytes: `8g`, `512m`. */
export const memory = (describe: string): Flag<number | undefined> => ({
  describe,
  placeholder: '8g',
  takes: 'value',
  parse(words, name) {
    const word = one(words, name);
    if (word === undefined) return undefined;
    const bytes = parseMemory(word);
    if (bytes !== undefined) return bytes;
    throw new WinnowError('ERR_USAGE', name, 'bytes, such as 8g or 512m', word, `Write ${name} 8g.`);
  },
});

/** Token ids in order, repeats kept. */
export const tokenIds = (describe: string): Flag<readonly number[] | undefined> => ({
  describe,
  placeholder: '1,2,…',
  takes: 'value',
  parse(words, name) {
    const word = one(words, name);
    return word?.split(',').map((part) => wholeNumber(part.trim(), name, 0));
  },
});

/** A flag or positional that must be there. */
export const required = <T>(inner: Flag<T | undefined>): Flag<T> => ({
  ...inner,
  parse(words, name) {
    const value = inner.parse(words, name);
    if (value === undefined) {
      throw new WinnowError(
        'ERR_USAGE',
        name,
        inner.describe.replace(/^[A-Z]/, (letter) => letter.toLowerCase()),
        undefined,
        'It is required; see --help.',
      );
    }
    return value;
  },
});

export const json = flag('Print one JSON document on stdout and nothing else there.');
