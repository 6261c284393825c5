import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { repeatsARepeat } from './tokenizer-patterns.js';
import { gpt2Pattern } from './tokenizer-rules.js';

suite('repeatsARepeat', () => {
  const known = [
    gpt2Pattern,
    // Llama 3 and Qwen 2.
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    // o200k.
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    '[(+)*]+|\\(a+\\)+|[]+)]{3}',
    '(ab){3}|(a)+|(?:[^b])*',
  ];
  for (const pattern of known) test(`${pattern} is run`, () => assert.equal(repeatsARepeat(pattern), false));

  const hostile = [
    '(a+)+$',
    '(?:a*b?)*',
    '(a|a)*',
    '(?:(x+))+',
    '((a|b)c){2,}',
    '([a-z]+\\s?){1,40}',
    '(?<n>\\p{L}{2,})*',
    '(a{3}){3}',
  ];
  for (const pattern of hostile) test(`${pattern} is not`, () => assert.equal(repeatsARepeat(pattern), true));
});
