/** The sentences that give a key a value, and the words, numbers and UUIDs in them. */
import type { Random } from '../../core/random.js';
import { ADJECTIVES, NOUNS } from '../../datasets/words.js';
import type { HaystackUnits } from './haystack.js';

export type TokenKind = 'words' | 'numbers' | 'uuids';

export const needleLine = (kind: TokenKind, key: string, value: string): string =>
  `One of the secret ${kind} for ${key} is: ${value}.`;

export const makeToken = (kind: TokenKind | 'strings', random: Random): string => {
  switch (kind) {
    case 'words':
      return `${random.pick(ADJECTIVES)}-${random.pick(NOUNS)}`;
    case 'numbers':
      return String(random.integer(1_000_000, 9_999_999));
    case 'strings':
      return Array.from({ length: 16 }, () => ALPHANUMERIC[random.integer(0, ALPHANUMERIC.length - 1)]!).join('');
    case 'uuids': {
      const hex = Array.from({ length: 4 }, () => random.uint32().toString(16).padStart(8, '0')).join('');
      // Version 4: the 13th digit is 4, the 17th is 8 to b.
      const variant = '89ab'[random.integer(0, 3)]!;
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
    }
  }
};

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** `count` tokens none of which holds another or a taken one: `old-cat` beside `cold-cat` would answer for it. */
export const distinctTokens = (count: number, make: () => string, taken: readonly string[] = []): string[] => {
  const tokens: string[] = [];
  while (tokens.length < count) {
    const token = make();
    if (!overlaps(token, tokens) && !overlaps(token, taken)) tokens.push(token);
  }
  return tokens;
};

const overlaps = (token: string, others: readonly string[]): boolean =>
  others.some((other) => other.includes(token) || token.includes(other));

/** A haystack of needle lines without end, whose keys and values are never one of `taken`. */
export const needleUnits = (
  kinds: { readonly keyType: TokenKind; readonly valueType: TokenKind },
  taken: readonly string[],
  random: Random,
): HaystackUnits => {
  const lines: string[] = [];
  const draw = (kind: TokenKind): string => distinctTokens(1, () => makeToken(kind, random), taken)[0]!;
  return {
    separator: '\n',
    unit: (index) => {
      while (lines.length <= index) lines.push(needleLine(kinds.valueType, draw(kinds.keyType), draw(kinds.valueType)));
      return lines[index]!;
    },
  };
};
