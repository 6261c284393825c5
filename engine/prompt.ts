/** From the parts of a prompt to token ids, with exact token ranges for evidence and documents. */
import { WinnowError } from '../core/errors.js';
import type { TokenSpan } from '../methods/contract.js';
import { type ChatTemplate, compileChatTemplate } from './chat-template.js';
import type { PreparedPrompt, PromptParts } from './contract.js';
import type { EncodedText, Tokenizer } from './tokenizer.js';
import type { TextPiece } from './tokenizer-sections.js';

/** The compiled chat template of a model; undefined when its files hold none. */
export const templateOf = (tokenizer: Tokenizer): ChatTemplate | undefined =>
  tokenizer.chatTemplate === undefined
    ? undefined
    : compileChatTemplate(tokenizer.name, tokenizer.chatTemplate, tokenizer.specials);

/**
 * Context, question and answer prefix are tokenised apart and concatenated, so that every method and the dense run see the same ids.
 * With a template: context = template head + text, question = text + template turn; special tokens count only in the template's own
 * parts, those written in a sample's text are plain text. Without: all text as it is, special tokens in it count; the token that the
 * model expects before a text stands in front.
 *
 * Throws: ERR_UNSUPPORTED when a template is asked for and the model has none.
 */
export function preparePrompt(
  parts: PromptParts,
  tokenizer: Tokenizer,
  template: ChatTemplate | undefined,
): PreparedPrompt {
  const { context, question, answerPrefix, documents, evidence } = parts;
  checkSpans('documents', documents, context.length);
  checkSpans('evidence', evidence, context.length);
  const { head, turn } = frameOf(parts, tokenizer, template);
  const specials: TextPiece['specials'] = parts.chatTemplate ? 'none' : 'parse';
  const { soft = [] } = parts;
  checkSoft(soft, context.length);
  const borders = [0, ...soft.map(({ at }) => at), context.length];
  const encoded = tokenizer.encodePieces([
    { text: head, specials: 'parse' },
    ...borders.slice(1).map((end, i) => ({ text: context.slice(borders[i]!, end), specials })),
  ]);
  const asked = tokenizer.encodePieces(
    [
      { text: question, specials },
      { text: turn, specials: 'parse' },
    ],
    true,
  );
  const prefix = tokenizer.encode(answerPrefix, { specials, continues: true });
  const questionIds = new Int32Array(asked.ids.length + prefix.length);
  questionIds.set(asked.ids);
  questionIds.set(prefix, asked.ids.length);
  const woven = weaveSoft(
    encoded.ids,
    soft.map(({ at, tokens }) => ({ before: firstEndAfter(encoded, head.length + at), tokens })),
  );
  const toTokens = ({ start, end }: TokenSpan): TokenSpan =>
    woven.moved(tokenRange(encoded, head.length + start, head.length + end));
  return {
    contextIds: woven.ids,
    questionIds,
    evidence: evidence.map(toTokens),
    documents: documents.map(toTokens),
    headTokens: firstEndAfter(encoded, head.length),
    ...(soft.length === 0 ? {} : { softSpans: woven.spans }),
  };
}

/**
 * Ids of a later turn of a conversation: what the template puts between an answer and the user's text, the question, the template's turn,
 * the answer prefix. Without a template the question goes on after the answer as it is.
 */
export function prepareNextTurn(
  parts: Pick<PromptParts, 'question' | 'answerPrefix' | 'chatTemplate'>,
  tokenizer: Tokenizer,
  template: ChatTemplate | undefined,
): Int32Array {
  const specials: TextPiece['specials'] = parts.chatTemplate ? 'none' : 'parse';
  if (parts.chatTemplate && template === undefined) throw noTemplate(tokenizer);
  const { between, turn } = (parts.chatTemplate ? template?.splitNext() : undefined) ?? { between: '', turn: '' };
  const asked = tokenizer.encodePieces(
    [
      { text: between, specials: 'parse' },
      { text: parts.question, specials },
      { text: turn, specials: 'parse' },
    ],
    true,
  ).ids;
  return Int32Array.from([...asked, ...tokenizer.encode(parts.answerPrefix, { specials, continues: true })]);
}

/** Puts runs of -1 between tokens, each before a token of the text. */
function weaveSoft(ids: Int32Array, soft: readonly { readonly before: number; readonly tokens: number }[]) {
  if (soft.length === 0) return { ids, spans: [], moved: (span: TokenSpan): TokenSpan => span };
  const shifted = (token: number, isEnd: boolean): number =>
    soft.reduce((at, { before, tokens }) => at + (before < token || (before === token && !isEnd) ? tokens : 0), token);
  const all = new Int32Array(ids.length + soft.reduce((sum, { tokens }) => sum + tokens, 0)).fill(-1);
  ids.forEach((id, token) => {
    all[shifted(token, false)] = id;
  });
  let before = 0;
  const spans = soft.map((one): TokenSpan => {
    const start = one.before + before;
    before += one.tokens;
    return { start, end: start + one.tokens };
  });
  return {
    ids: all,
    spans,
    moved: ({ start, end }: TokenSpan): TokenSpan => ({
      start: shifted(start, false),
      end: start === end ? shifted(start, false) : shifted(end, true),
    }),
  };
}

function checkSoft(soft: NonNullable<PromptParts['soft']>, length: number): void {
  soft.forEach(({ at, tokens }, index) => {
    const isAfter = Number.isInteger(at) && at >= (soft[index - 1]?.at ?? 0) && at <= length;
    if (isAfter && Number.isInteger(tokens) && tokens >= 1) return;
    throw new WinnowError('ERR_INTERNAL', `soft[${index}]`, `ascending characters up to ${length}`, [at, tokens]);
  });
}

function frameOf(
  parts: PromptParts,
  tokenizer: Tokenizer,
  template: ChatTemplate | undefined,
): { readonly head: string; readonly turn: string } {
  if (!parts.chatTemplate) {
    const start = tokenizer.startText ?? '';
    return { head: parts.context.startsWith(start) ? '' : start, turn: '' };
  }
  if (template !== undefined) return template.split(parts.system);
  throw noTemplate(tokenizer);
}

const noTemplate = (tokenizer: Tokenizer): WinnowError =>
  new WinnowError(
    'ERR_UNSUPPORTED',
    `${tokenizer.name}, chat template`,
    'a model with a chat template',
    'none',
    'Use --chat-template off (chatTemplate: false in the suite), or --raw.',
  );

/** Tokens that hold any part of characters [start, end). Empty for an empty range. */
export function tokenRange(encoded: EncodedText, start: number, end: number): TokenSpan {
  const first = firstEndAfter(encoded, start);
  if (end <= start) return { start: first, end: first };
  let low = first;
  let high = encoded.ids.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (encoded.starts[middle]! < end) low = middle + 1;
    else high = middle;
  }
  return { start: first, end: low };
}

/** Index of the first token that ends after character `at`; ends ascend. */
function firstEndAfter(encoded: EncodedText, at: number): number {
  let low = 0;
  let high = encoded.ids.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (encoded.ends[middle]! > at) high = middle;
    else low = middle + 1;
  }
  return low;
}

function checkSpans(what: string, spans: readonly TokenSpan[], length: number): void {
  spans.forEach(({ start, end }, index) => {
    if (Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start <= end && end <= length) return;
    throw new WinnowError(
      'ERR_SUITE',
      `${what}[${index}]`,
      `a character range inside the context (${length} characters)`,
      [start, end],
    );
  });
}
