/** What a tokenizer is built from, in the vocabulary of `tokenizer.json`, whichever file it came from. */
import { z } from 'zod';
import { WinnowError } from '../core/errors.js';

/** Ids index arrays; beyond any vocabulary one of them would make an array of billions. */
const tokenId = z
  .number()
  .int()
  .nonnegative()
  .max((1 << 21) - 1);

const addedToken = z.object({
  id: tokenId,
  content: z.string().min(1),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  single_word: z.boolean().default(false),
  normalized: z.boolean().default(false),
  special: z.boolean().default(false),
});

/** The parts of `tokenizer.json` that we read; steps are checked where they are interpreted (tokenizer-rules.ts). */
const tokenizerJsonSchema = z.object({
  added_tokens: z.array(addedToken).default([]),
  normalizer: z.unknown().default(null),
  pre_tokenizer: z.unknown().default(null),
  decoder: z.unknown().default(null),
  post_processor: z.unknown().optional(),
  model: z.object({
    type: z.string().default('BPE'),
    vocab: z.record(z.string(), tokenId),
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
    unk_token: z.string().nullish(),
    byte_fallback: z.boolean().nullish(),
    ignore_merges: z.boolean().nullish(),
    continuing_subword_prefix: z.string().nullish(),
    end_of_word_suffix: z.string().nullish(),
    dropout: z.number().nullish(),
  }),
});
export type TokenizerJson = z.output<typeof tokenizerJsonSchema>;
export type AddedTokenJson = z.output<typeof addedToken>;

export interface TokenizerSource {
  /** File or directory, for messages. */
  readonly where: string;
  /** Short description of the recipe, such as `gpt2/smollm`. */
  readonly name: string;
  readonly json: TokenizerJson;
  /** Special strings that chat templates refer to. */
  readonly specials: Readonly<Partial<Record<'bos' | 'eos' | 'unk' | 'pad', string>>>;
  /** Tokens that end a turn or a text. */
  readonly stopIds: readonly number[];
  readonly chatTemplate: string | undefined;
  /** The special token that the model expects before a text; templates write it themselves. */
  readonly startText: string | undefined;
}

/** Throws: ERR_UNSUPPORTED for a model that is not BPE, ERR_MODEL_FORMAT for anything of another shape. */
export function parseTokenizerJson(where: string, value: unknown): TokenizerJson {
  const type = (value as { model?: { type?: unknown } } | null)?.model?.type;
  if (typeof type === 'string' && type !== 'BPE')
    throw new WinnowError('ERR_UNSUPPORTED', `${where}, model.type`, 'BPE', type);
  const parsed = tokenizerJsonSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new WinnowError(
    'ERR_MODEL_FORMAT',
    `${where}, ${issue.path.join('.')}`,
    'a tokenizer.json of the tokenizers library',
    issue.message,
  );
}

/** Texts of tokens that end a turn or a text wherever they are control tokens, whatever the metadata name as "the" end token. */
const endTexts = new Set([
  '<|im_end|>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '</s>',
  '<|end|>',
  '<end_of_turn>',
]);

/** Ids to stop on: those that the files name, and control tokens that end a turn by their text. Ascending. */
export function collectStopIds(named: readonly number[], added: readonly AddedTokenJson[]): number[] {
  const ids = new Set(named);
  for (const { id, content, special } of added) if (special && endTexts.has(content)) ids.add(id);
  return [...ids].sort((a, b) => a - b);
}
