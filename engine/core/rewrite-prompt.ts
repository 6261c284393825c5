import { WinnowError } from '../../core/errors.js';
import type { PartRole, PromptResult, TokenSpan } from '../../methods/contract.js';
import type { PreparedPrompt, PromptParts, SampleRequest } from '../contract.js';
import type { OpenServices } from './services.js';
import type { ResolvedSetting } from './settings.js';

/** What a prompt hook made of a sample's prompt. */
export interface RewrittenPrompt {
  readonly prompt: PreparedPrompt;
  /** Share of the evidence that is still in the prompt; NaN without evidence. */
  readonly evidenceKept: number;
  readonly indexBytes: number;
  /** Tokens that auxiliary models read for it. */
  readonly auxiliaryTokens: number;
}

export interface RewriteContext {
  readonly openServices: OpenServices;
  prepare(parts: PromptParts): PreparedPrompt;
}

/** Runs a prompt hook: the context becomes the parts it chose, evidence follows through `stands`. */
export const rewritePrompt = async (
  context: RewriteContext,
  request: Pick<SampleRequest, 'prompt' | 'seed' | 'protocol'>,
  headTokens: number,
  setting: ResolvedSetting,
): Promise<RewrittenPrompt> => {
  const hook = setting.hooks().prompt!;
  const documents = documentsOf(request.prompt);
  const { services, auxiliaryTokens } = await context.openServices(auxiliaryOf(setting));
  const index = await hook.index?.(documents, services);
  const budget = setting.setting.budget.tokens - headTokens;
  if (budget < 1)
    throw new WinnowError(
      'ERR_BUDGET',
      `${setting.key}.budget`,
      `more than the ${headTokens} tokens before the context`,
      setting.setting.budget.tokens,
    );
  const built: PromptResult = await hook.build(
    {
      documents,
      tokenBudget: budget,
      seed: request.seed,
      ...(request.protocol === 'query-aware' ? { question: request.prompt.question } : {}),
    },
    index,
    services,
  );
  if ('answer' in built)
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      setting.key,
      'prompt parts',
      'an answer',
      'Methods that answer themselves come later.',
    );
  const { text, evidence } = join(setting.key, built.parts, request.prompt.evidence);
  const wanted = length(request.prompt.evidence);
  return {
    prompt: context.prepare({ ...request.prompt, context: text, documents: [], evidence }),
    evidenceKept: wanted === 0 ? Number.NaN : length(evidence) / wanted,
    indexBytes: index?.bytes ?? 0,
    auxiliaryTokens: auxiliaryTokens(),
  };
};

/** The parts that stand for the context, as one text, and where the evidence is in it. */
const join = (
  where: string,
  parts: Extract<PromptResult, { parts: unknown }>['parts'],
  evidence: readonly TokenSpan[],
): { text: string; evidence: TokenSpan[] } => {
  const isContext = (role: PartRole): boolean => role === 'document' || role === 'history' || role === 'instruction';
  let text = '';
  const moved: TokenSpan[] = [];
  for (const part of parts) {
    if (!isContext(part.role)) continue;
    if (!('text' in part))
      throw new WinnowError('ERR_UNSUPPORTED', where, 'text parts', 'embeddings', 'Soft tokens come later.');
    for (const stood of part.stands ?? []) {
      for (const span of evidence) {
        const start = Math.max(span.start, stood.start);
        const end = Math.min(span.end, stood.end);
        if (start < end) moved.push({ start: text.length + start - stood.start, end: text.length + end - stood.start });
      }
    }
    text += part.text;
  }
  return { text, evidence: moved.filter((span) => span.end <= text.length) };
};

const auxiliaryOf = (setting: ResolvedSetting): string[] =>
  setting.declaration.needs.flatMap((need) => ('auxiliary' in need ? [need.auxiliary] : []));

const documentsOf = (prompt: PromptParts): { text: string; start: number }[] =>
  prompt.documents.length === 0
    ? [{ text: prompt.context, start: 0 }]
    : prompt.documents.map((span) => ({ text: prompt.context.slice(span.start, span.end), start: span.start }));

const length = (spans: readonly TokenSpan[]): number => spans.reduce((sum, span) => sum + span.end - span.start, 0);
