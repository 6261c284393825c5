import { WinnowError } from '../../core/errors.js';
import type { Part, PartRole, PromptResult, Services, TokenSpan } from '../../methods/contract.js';
import type { PreparedPrompt, PromptParts, SampleRequest } from '../contract.js';
import { type Device, type DeviceTensor, device as deviceOf } from './device.js';
import type { OpenServices } from './services.js';
import type { ResolvedSetting } from './settings.js';

/** What a prompt hook made of a sample's prompt. */
export interface RewrittenPrompt {
  readonly prompt: PreparedPrompt;
  /** Share of the evidence that is still in the prompt; NaN without evidence. */
  readonly evidenceKept: number;
  /** The same of other spans of the context as it came. */
  evidenceKeptOf(evidence: readonly TokenSpan[]): number;
  readonly indexBytes: number;
  /** Tokens that auxiliary models read for it. */
  readonly auxiliaryTokens: number;
  /** Rows of its parts without text, f32 [tokens, hiddenSize]; the caller frees them. */
  readonly softRows?: DeviceTensor;
}

export interface RewriteContext {
  readonly openServices: OpenServices;
  prepare(parts: PromptParts): PreparedPrompt;
  /** Where parts may be embeddings. */
  readonly embeddings?: {
    readonly device: Device;
    readonly hiddenSize: number;
    /** f32 [tokens, hiddenSize]. */
    of(text: string): DeviceTensor;
  };
}

/** Runs a prompt hook: the context becomes the parts it chose, evidence follows through `stands`. */
export const rewritePrompt = async (
  context: RewriteContext,
  request: Pick<SampleRequest, 'prompt' | 'seed' | 'protocol'>,
  headTokens: number,
  setting: ResolvedSetting,
): Promise<RewrittenPrompt> => {
  const { embeddings } = context;
  if (embeddings === undefined) return rewrite(context, request, headTokens, setting);
  const scope = embeddings.device.addon.openScope();
  try {
    const rewritten = await rewrite(context, request, headTokens, setting);
    if (rewritten.softRows !== undefined) embeddings.device.addon.keep(rewritten.softRows.id);
    return rewritten;
  } finally {
    embeddings.device.addon.closeScope(scope);
  }
};

const rewrite = async (
  context: RewriteContext,
  request: Pick<SampleRequest, 'prompt' | 'seed' | 'protocol'>,
  headTokens: number,
  setting: ResolvedSetting,
): Promise<RewrittenPrompt> => {
  const hook = setting.hooks().prompt!;
  const documents = documentsOf(request.prompt);
  const { services: common, auxiliaryTokens } = await context.openServices(auxiliaryOf(setting));
  const services = withEmbeddings(common, context.embeddings);
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
  const { text, evidence, soft } = join(setting.key, built.parts, request.prompt.evidence, context.embeddings);
  const prompt = context.prepare({
    ...request.prompt,
    context: text,
    documents: [],
    evidence,
    ...(soft.length === 0 ? {} : { soft: soft.map(({ at, rows }) => ({ at, tokens: rows.shape[0]! })) }),
  });
  const softEvidence = soft.flatMap(({ holds }, i) => (holds > 0 ? [prompt.softSpans![i]!] : []));
  const evidenceKeptOf = (spans: readonly TokenSpan[]): number => {
    const found = join(setting.key, built.parts, spans, context.embeddings);
    const kept = length(found.evidence) + found.soft.reduce((sum, { holds }) => sum + holds, 0);
    return kept / length(spans);
  };
  return {
    prompt: { ...prompt, evidence: [...prompt.evidence, ...softEvidence].sort((a, b) => a.start - b.start) },
    evidenceKept: evidenceKeptOf(request.prompt.evidence),
    evidenceKeptOf,
    indexBytes: index?.bytes ?? 0,
    auxiliaryTokens: auxiliaryTokens(),
    ...(soft.length === 0 ? {} : { softRows: stacked(context.embeddings!.device, soft) }),
  };
};

const withEmbeddings = (services: Services, embeddings: RewriteContext['embeddings']): Services =>
  embeddings === undefined
    ? services
    : {
        ...services,
        inputEmbeddings: embeddings.of,
        embeddingRows(values) {
          const t = embeddings.device.tensor('f32', [values.length / embeddings.hiddenSize, embeddings.hiddenSize]);
          embeddings.device.addon.upload(t.id, values);
          return t;
        },
      };

/** A part without text. */
interface SoftPart {
  /** Character of the joined text before which it stands. */
  readonly at: number;
  readonly rows: DeviceTensor;
  /** Characters of evidence that it stands for. */
  readonly holds: number;
}

const stacked = (device: Device, soft: readonly SoftPart[]): DeviceTensor => {
  const total = soft.reduce((sum, { rows }) => sum + rows.shape[0]!, 0);
  const out = device.tensor('f32', [total, soft[0]!.rows.shape[1]!]);
  let first = 0;
  for (const { rows } of soft) {
    device.addon.copyRows(rows.id, 0, out.id, first, rows.shape[0]!);
    first += rows.shape[0]!;
  }
  return out;
};

/** The parts that stand for the context, as one text, and where the evidence is in it. */
const join = (
  where: string,
  parts: Extract<PromptResult, { parts: unknown }>['parts'],
  evidence: readonly TokenSpan[],
  embeddings: RewriteContext['embeddings'],
): { text: string; evidence: TokenSpan[]; soft: SoftPart[] } => {
  const isContext = (role: PartRole): boolean => role === 'document' || role === 'history' || role === 'instruction';
  let text = '';
  const moved: TokenSpan[] = [];
  const soft: SoftPart[] = [];
  for (const part of parts) {
    if (!isContext(part.role)) continue;
    if (!('text' in part)) {
      soft.push(softPart(where, part, text.length, evidence, embeddings));
      continue;
    }
    for (const stood of part.stands ?? []) {
      for (const span of evidence) {
        const start = Math.max(span.start, stood.start);
        const end = Math.min(span.end, stood.end);
        if (start < end) moved.push({ start: text.length + start - stood.start, end: text.length + end - stood.start });
      }
    }
    text += part.text;
  }
  return { text, evidence: moved.filter((span) => span.end <= text.length), soft };
};

const softPart = (
  where: string,
  part: Extract<Part, { embeddings: unknown }>,
  at: number,
  evidence: readonly TokenSpan[],
  embeddings: RewriteContext['embeddings'],
): SoftPart => {
  if (embeddings === undefined)
    throw new WinnowError('ERR_UNSUPPORTED', where, 'text parts on this backend', 'embeddings', 'Use --backend cpu.');
  const rows = deviceOf(part.embeddings);
  if (
    rows.dtype !== 'f32' ||
    rows.shape.length !== 2 ||
    !(rows.shape[0]! >= 1) ||
    rows.shape[1] !== embeddings.hiddenSize
  )
    throw new WinnowError(
      'ERR_CONTRACT',
      `${where}, embeddings`,
      `f32 [tokens, ${embeddings.hiddenSize}]`,
      `${rows.dtype} [${rows.shape.join(', ')}]`,
    );
  const overlap = (a: TokenSpan, b: TokenSpan): number =>
    Math.max(0, Math.min(a.end, b.end) - Math.max(a.start, b.start));
  const holds = (part.stands ?? []).reduce(
    (sum, stood) => sum + evidence.reduce((own, span) => own + overlap(span, stood), 0),
    0,
  );
  return { at, rows, holds };
};

const auxiliaryOf = (setting: ResolvedSetting): string[] =>
  setting.declaration.needs.flatMap((need) => ('auxiliary' in need ? [need.auxiliary] : []));

const documentsOf = (prompt: PromptParts): { text: string; start: number }[] =>
  prompt.documents.length === 0
    ? [{ text: prompt.context, start: 0 }]
    : prompt.documents.map((span) => ({ text: prompt.context.slice(span.start, span.end), start: span.start }));

const length = (spans: readonly TokenSpan[]): number => spans.reduce((sum, span) => sum + span.end - span.start, 0);
