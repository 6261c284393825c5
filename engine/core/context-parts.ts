import type { Part } from '../../methods/contract.js';
import type { PreparedPrompt, PromptParts } from '../contract.js';
import type { FedPrompt } from './fed-prompt.js';

/** A part of the context as the hooks see it, and its tokens. */
export interface ContextPart {
  readonly part: Part;
  readonly ids: Int32Array;
  /** Where its tokens stand in the context as it came. */
  readonly offset: number;
}

/**
 * The context cut at the ends of its documents: what stands before the text (the template's start), then one part a document with
 * whatever text stands before it; the parts together are the whole context.
 */
export const contextParts = (
  { context, documents: spans }: Pick<PromptParts, 'context' | 'documents'>,
  { contextIds, headTokens, documents }: PreparedPrompt,
): ContextPart[] => {
  const parts: ContextPart[] = [];
  const add = (part: Part, from: number, to: number): void => {
    if (to > from)
      parts.push({ part: { ...part, tokens: to - from }, ids: contextIds.subarray(from, to), offset: from });
  };
  add({ role: 'instruction', text: '' }, 0, headTokens);
  let token = headTokens;
  let character = 0;
  documents.forEach(({ end }, i) => {
    const isLast = i === documents.length - 1;
    const lastToken = isLast ? contextIds.length : Math.max(token, end);
    const lastCharacter = isLast ? context.length : Math.max(character, spans[i]!.end);
    const text = context.slice(character, lastCharacter);
    add({ role: 'document', text, stands: [{ start: character, end: lastCharacter }] }, token, lastToken);
    token = lastToken;
    character = lastCharacter;
  });
  const stands = [{ start: 0, end: context.length }];
  if (documents.length === 0) add({ role: 'document', text: context, stands }, token, contextIds.length);
  return parts;
};

/**
 * Document of each context token, -1 for what stands before all text. Text between documents counts to the one that follows, as in
 * `contextParts`: a separator that saw every document would carry one into the next. Undefined where the sample names no documents.
 */
export const documentSegments = ({ contextIds, headTokens, documents }: PreparedPrompt): Int32Array | undefined => {
  if (documents.length === 0) return undefined;
  const segments = new Int32Array(contextIds.length).fill(-1);
  let token = headTokens;
  documents.forEach(({ end }, i) => {
    const last = i === documents.length - 1 ? contextIds.length : Math.max(token, end);
    segments.fill(i, token, last);
    token = last;
  });
  return segments;
};

/** The context as one part, where nobody knows its text. */
export const wholeContext = ({ contextIds }: FedPrompt): ContextPart => ({
  part: { role: 'document', text: '', tokens: contextIds.length },
  ids: contextIds,
  offset: 0,
});
