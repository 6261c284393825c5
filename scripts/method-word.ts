import path from 'node:path';
import type { MethodRef } from '../engine/contract.js';

/**
 * What `--method` means: `snapkv` is a method of the project, `./mine.ts` a file outside the tree, `snapkv+quest` a composition.
 * The names are checked where the methods are known.
 */
export const methodOfWord = (word: string): MethodRef => {
  if (/\.(?:ts|mts|js|mjs)$/.test(word)) {
    return { id: path.basename(word).replace(/\.\w+$/, ''), file: path.resolve(word), params: {} };
  }
  const parts = word.split('+');
  if (parts.length > 1) return { id: word, params: {}, parts: parts.map(methodOfWord) };
  return { id: word, params: {} };
};
