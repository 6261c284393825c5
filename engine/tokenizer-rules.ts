/**
 * How text becomes pieces for BPE: read from the normaliser, pre-tokenizer and decoder of a `tokenizer.json`.
 *
 * Two recipes cover all families. Only what is understood exactly is accepted, because token offsets depend on it.
 */
import { WinnowError } from '../core/errors.js';
import type { TokenizerJson } from './tokenizer-source.js';

export type TokenizerRules =
  /** Text is composed (NFC) if said so, cut by regular expressions one after another, then BPE runs over the UTF-8 bytes of each piece. */
  | { readonly kind: 'byte-level'; readonly composes: boolean; readonly splits: readonly SplitRule[] }
  /** Spaces become `▁`, BPE runs over characters, unknown ones fall back to bytes. */
  | { readonly kind: 'sentencepiece'; readonly prefix: SpacePrefix };

export interface SplitRule {
  /** Oniguruma source. */
  readonly pattern: string;
  /** true: matches are the pieces and must cover the text; false: matches and what lies between them are pieces. */
  readonly invert: boolean;
}

/** Where a `▁` is put before a stretch of plain text. `unless-there`: not if the text begins with one. */
export interface SpacePrefix {
  readonly scheme: 'always' | 'first' | 'never';
  readonly unlessThere: boolean;
}

/** The pattern of GPT-2, which ByteLevel applies unless told otherwise. */
export const gpt2Pattern = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
/** The library's own Digits step knows ASCII digits only; every numeric character counts for the original. */
const digitPattern = '\\p{N}';
const digitRunPattern = '\\p{N}+';
export const spaceMark = '▁';

type Step = Readonly<Record<string, unknown>>;

export function readRules(where: string, json: TokenizerJson): TokenizerRules {
  const { model } = json;
  for (const key of ['continuing_subword_prefix', 'end_of_word_suffix', 'dropout'] as const) {
    if (model[key]) throw new WinnowError('ERR_UNSUPPORTED', `${where}, model.${key}`, 'none', model[key]);
  }
  const preTokenizers = flatten(json.pre_tokenizer, 'pretokenizers');
  if (preTokenizers.some(({ type }) => type === 'ByteLevel')) {
    const normalizers = flatten(json.normalizer, 'normalizers');
    const other = normalizers.find(({ type }) => type !== 'NFC');
    if (other !== undefined) throw unsupported(where, 'normalizer', 'none or NFC before byte-level BPE', other);
    return {
      kind: 'byte-level',
      composes: normalizers.length > 0,
      splits: preTokenizers.flatMap((step) => splitOf(where, step)),
    };
  }
  return { kind: 'sentencepiece', prefix: prefixOf(where, flatten(json.normalizer, 'normalizers'), preTokenizers) };
}

function flatten(step: unknown, listKey: string): Step[] {
  if (step === null || step === undefined) return [];
  const { type, [listKey]: list } = step as Step;
  return type === 'Sequence' && Array.isArray(list) ? list.flatMap((inner) => flatten(inner, listKey)) : [step as Step];
}

function splitOf(where: string, step: Step): SplitRule[] {
  switch (step.type) {
    case 'ByteLevel':
      if (step.add_prefix_space === true) throw unsupported(where, 'pre_tokenizer', 'add_prefix_space false', step);
      return step.use_regex === false ? [] : [{ pattern: gpt2Pattern, invert: false }];
    case 'Digits':
      return [{ pattern: step.individual_digits === true ? digitPattern : digitRunPattern, invert: false }];
    case 'Split': {
      const pattern = (step.pattern as { Regex?: unknown } | undefined)?.Regex;
      const inverted = step.invert === true;
      const isKnown =
        typeof pattern === 'string' && (step.behavior === 'Isolated' || (step.behavior === 'Removed' && inverted));
      if (!isKnown) throw unsupported(where, 'pre_tokenizer', 'a Split by Regex that keeps all text', step);
      return [{ pattern, invert: inverted }];
    }
    default:
      throw unsupported(where, 'pre_tokenizer', 'ByteLevel, Digits or Split', step);
  }
}

function prefixOf(where: string, normalizers: readonly Step[], preTokenizers: readonly Step[]): SpacePrefix {
  let prefix: SpacePrefix = { scheme: 'never', unlessThere: true };
  let replaces = false;
  for (const step of normalizers) {
    if (step.type === 'Prepend' && step.prepend === spaceMark) prefix = { scheme: 'always', unlessThere: false };
    else if (isSpaceReplacement(step)) replaces = true;
    else throw unsupported(where, 'normalizer', 'Prepend and Replace of a space by ▁', step);
  }
  for (const step of preTokenizers) {
    // Gemma cuts at spaces when there is none left.
    if (replaces && isSpaceSplit(step)) continue;
    if (step.type !== 'Metaspace' || (step.replacement ?? spaceMark) !== spaceMark)
      throw unsupported(where, 'pre_tokenizer', 'Metaspace', step);
    replaces = true;
    const scheme = step.prepend_scheme ?? (step.add_prefix_space === false ? 'never' : 'always');
    if (scheme !== 'always' && scheme !== 'first' && scheme !== 'never')
      throw unsupported(where, 'prepend_scheme', 'always, first or never', step);
    prefix = { scheme, unlessThere: true };
  }
  if (!replaces) throw unsupported(where, 'pre_tokenizer', 'byte-level BPE or SentencePiece spaces', null);
  return prefix;
}

const isSpaceReplacement = (step: Step): boolean =>
  step.type === 'Replace' &&
  step.content === spaceMark &&
  (step.pattern as { String?: unknown } | undefined)?.String === ' ';

const isSpaceSplit = (step: Step): boolean =>
  step.type === 'Split' && (step.pattern as { String?: unknown } | undefined)?.String === ' ';

const unsupported = (where: string, part: string, expected: string, step: unknown): WinnowError =>
  new WinnowError('ERR_UNSUPPORTED', `${where}, ${part}`, expected, step);
