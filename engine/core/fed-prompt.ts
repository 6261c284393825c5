import type { Protocol, TokenSpan } from '../../methods/contract.js';
import type { SoftTokens } from './transformer.js';

/** Token ids of one prompt, context first. */
export interface FedPrompt {
  /** -1 where `soft` has a row instead. */
  readonly contextIds: Int32Array;
  readonly soft?: SoftTokens;
  readonly questionIds: Int32Array;
  /** Tokens at the end of the question that are read a second time under the query-aware protocol, through the compressed cache. */
  readonly tailTokens?: number;
  readonly evidence: readonly TokenSpan[];
  /** Position of the first token; default 0. */
  readonly firstPosition?: number;
  /** Document of each context token, -1 outside (`documentSegments`). */
  readonly segments?: Int32Array;
}

/**
 * Under the query-aware protocol the prompt's last token is read twice: in the prefill, so that methods see its attention, and again
 * as a step through the compressed cache. Else the first generated token, which is the whole answer of short tasks, would come from
 * the dense prefill whatever the method threw away.
 */
export const QUERY_AWARE_TAIL = 1;

/** What is fed after compression. */
export const tailOf = (prompt: FedPrompt, protocol: Protocol): Int32Array =>
  protocol === 'query-agnostic'
    ? prompt.questionIds
    : prompt.questionIds.subarray(prompt.questionIds.length - (prompt.tailTokens ?? 0));

export const concat = (a: Int32Array, b: Int32Array): Int32Array => {
  const out = new Int32Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
};
