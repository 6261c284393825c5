import type { TokenMeter } from '../contract.js';

/** A meter without a model, for tests: a token is a word of up to eight letters, a digit or a sign; the template costs `template`. */
export const wordMeter = (template = 20): TokenMeter => {
  const count = (text: string): number => {
    let tokens = 0;
    for (const piece of text.match(/\d|[\p{L}\p{M}]+|[^\s\d\p{L}\p{M}]/gu) ?? []) tokens += Math.ceil(piece.length / 8);
    return tokens;
  };
  return {
    tokenizer: 'words',
    count,
    countPrompt: ({ context, question, answerPrefix }) =>
      template + count(context) + count(question) + count(answerPrefix),
  };
};

/** The same for text where borders matter: a token is four bytes, so counts are not additive. */
export const byteMeter = (): TokenMeter => {
  const count = (text: string): number => Math.ceil(Buffer.byteLength(text) / 4);
  return {
    tokenizer: 'bytes',
    count,
    countPrompt: ({ context, question, answerPrefix }) => count(context + question + answerPrefix),
  };
};
