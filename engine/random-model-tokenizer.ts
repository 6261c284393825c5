/** The tokenizer of random models: bytes and a few merges of English, so that nothing has to be fetched. */
import { tinyChatTemplate, tinySpecials, tinyTokenizerJson } from './tiny-model-tokenizer.js';
import { parseTokenizerJson, type TokenizerSource } from './tokenizer-source.js';

/** Tokens that the tokenizer knows; a model may have more, which stand for nothing. */
export const RANDOM_VOCABULARY = 304;

/** No token stops: a random model would end at random. */
export const randomTokenizer = (ref: string): TokenizerSource => ({
  where: ref,
  name: 'random/bytes',
  json: parseTokenizerJson(ref, tinyTokenizerJson(RANDOM_VOCABULARY)),
  specials: { bos: tinySpecials[1], eos: tinySpecials[2] },
  stopIds: [],
  chatTemplate: tinyChatTemplate,
  startText: undefined,
});
