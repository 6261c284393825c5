import { WinnowError } from '../core/errors.js';
import type { Tokenizer } from './tokenizer.js';

/**
 * Ids of a text that is predicted token by token, and the UTF-8 bytes that all tokens but the first stand for: a perplexity for each byte
 * must not count what was given. Throws ERR_UNSUPPORTED when a begin-of-text token is asked for and the model has none.
 */
export const runningText = (
  tokenizer: Tokenizer,
  { text, bos }: { readonly text: string; readonly bos: boolean },
): { readonly ids: Int32Array; readonly scoredBytes: number } => {
  if (bos && tokenizer.specials.bos === undefined)
    throw new WinnowError('ERR_UNSUPPORTED', `${tokenizer.name}, begin of text`, 'such a token', 'none', 'Omit --bos.');
  const head = bos ? tokenizer.specials.bos! : '';
  const encoded = tokenizer.encodePieces([
    { text: head, specials: 'parse' },
    { text, specials: 'none' },
  ]);
  // A character cut between tokens counts for the first of them.
  const given = Math.max(0, (encoded.ends[0] ?? 0) - head.length);
  return { ids: encoded.ids, scoredBytes: Buffer.byteLength(text) - Buffer.byteLength(text.slice(0, given)) };
};
