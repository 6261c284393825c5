/**
 * The parts of `@huggingface/tokenizers` that we use, typed here: the declarations of the package do not resolve under Node's rules
 * for ES modules, so that its names would be missing or `any`.
 */
import * as untyped from '@huggingface/tokenizers';

export interface BpeModel {
  readonly vocab: readonly (string | undefined)[];
  readonly tokens_to_ids: ReadonlyMap<string, number>;
  readonly unk_token: string | null | undefined;
  readonly byte_fallback: boolean;
  readonly ignore_merges: boolean;
  /** Symbols after all merges; together they spell `token`. */
  bpe(token: string): readonly string[];
}

export interface LibraryTokenizer {
  readonly model: BpeModel;
  decode(
    ids: readonly number[],
    options: { readonly skip_special_tokens: boolean; readonly clean_up_tokenization_spaces: boolean },
  ): string;
}

export interface SplitStep {
  pre_tokenize_text(text: string): readonly string[];
}

interface Library {
  readonly Tokenizer: new (tokenizer: object, config: object) => LibraryTokenizer;
  readonly SplitPreTokenizer: new (config: object) => SplitStep;
}

export const library = untyped as unknown as Library;
