/** What the ort backend answers: every text from the whole prompt, with dense attention. */
import { asWinnowError, WinnowError } from '../../core/errors.js';
import type {
  GenerateOutcome,
  GenerateRequest,
  PreparedPrompt,
  SampleOutcome,
  SampleRequest,
  SettingOutcome,
} from '../contract.js';
import { concat } from '../core/fed-prompt.js';
import { failedOutcome, firstStop } from '../core/outcome.js';
import { rewritePrompt } from '../core/rewrite-prompt.js';
import { checkSampling } from '../core/sampling.js';
import type { OpenServices } from '../core/services.js';
import { bindMethod, type ResolvedSetting, resolveSetting } from '../core/settings.js';
import type { LocalOptions, ServedEngine } from '../local.js';
import type { OpenText } from '../text-model.js';
import type { Decoder } from './decoder.js';
import { bytesPerToken, runText } from './text-run.js';

/** An open model of this backend. */
export interface OrtContext {
  readonly facts: ServedEngine['facts'];
  readonly text: OpenText;
  readonly decoder: Decoder;
  readonly openServices: OpenServices;
  readonly resolve: LocalOptions['resolveMethod'];
}

/** Each setting by itself: prompts are shared by nothing here, which is what a check wants. */
export const evaluate = async (context: OrtContext, request: SampleRequest): Promise<SampleOutcome> => {
  const started = performance.now();
  const outcomes: SettingOutcome[] = [];
  let prefills = 0;
  for (const setting of request.settings) {
    try {
      const bound = await bindMethod(setting.method, context.resolve);
      const dense = context.text.prepare(request.prompt);
      const resolved = resolveSetting(setting, bound, context.facts, request.protocol, dense.contextIds.length);
      refuseMoreThanDense(resolved, ['prompt', 'admit']);
      outcomes.push(await outcomeOf(context, request, resolved, dense));
      prefills++;
    } catch (thrown) {
      const error = asWinnowError(thrown, setting.key);
      if (error.code === 'ERR_INTERRUPTED') throw error;
      outcomes.push(failedOutcome(setting.key, error));
    }
  }
  const totalMs = performance.now() - started;
  return {
    sampleId: request.sampleId,
    outcomes,
    prefills,
    prefillsUnshared: prefills,
    // The runtime's share is not measured apart, so none of it is called the engine's own.
    nativeMs: totalMs,
    totalMs,
  };
};

/** Hooks that the whole-graph decoder has no place for. */
const refuseMoreThanDense = (resolved: ResolvedSetting, served: readonly string[]): void => {
  const { method } = resolved.bound;
  const hooks = Object.entries(resolved.hooks()).filter(([, hook]) => hook !== undefined);
  const hook = hooks.map(([name]) => name).find((name) => !served.includes(name));
  if (hook === undefined) return;
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    `${method.id} on backend ort`,
    'dense attention, with or without another prompt',
    `hook ${hook}`,
    'The ort backend runs the whole decoder as one graph, to check the others; use --backend cpu.',
  );
};

const outcomeOf = async (
  context: OrtContext,
  request: SampleRequest,
  setting: ResolvedSetting,
  dense: PreparedPrompt,
): Promise<SettingOutcome> => {
  const { text, decoder, facts } = context;
  if (request.continuation !== undefined || request.turns !== undefined)
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      'backend ort',
      'one answer to generate',
      request.turns === undefined ? 'a given continuation' : 'several turns',
      'Use --backend cpu.',
    );
  const hooks = setting.hooks();
  const rewriting = { openServices: context.openServices, prepare: text.prepare };
  const rewritten =
    hooks.prompt === undefined ? undefined : await rewritePrompt(rewriting, request, dense.headTokens, setting);
  const prompt = rewritten?.prompt ?? dense;
  const ids = concat(prompt.contextIds, prompt.questionIds);
  hooks.admit?.({
    sampleSeed: request.seed,
    length: request.protocol === 'query-aware' ? ids.length : prompt.contextIds.length,
    contextLength: prompt.contextIds.length,
  });
  const run = await runText(decoder, {
    ids,
    maxNewTokens: request.maxNewTokens,
    sampleSeed: request.seed,
    isStop: text.isStop,
    holdsStop: (tokens) => request.stop.length > 0 && firstStop(text.decode(tokens), request.stop) >= 0,
  });
  const answer = text.decode(run.tokenIds);
  const stop = firstStop(answer, request.stop);
  const bytes = bytesPerToken(facts.layers);
  const recall = rewritten?.evidenceKept ?? (request.prompt.evidence.length === 0 ? Number.NaN : 1);
  return {
    key: setting.key,
    status: 'ok',
    text: stop >= 0 ? answer.slice(0, stop) : answer,
    tokenIds: run.tokenIds,
    finishReason: run.finishReason,
    promptTokens: ids.length,
    contextTokens: prompt.contextIds.length,
    kvCacheBytes: run.promptTokens * bytes,
    kvCacheBytesPeak: run.peakTokens * bytes,
    expectedKvCacheBytes: run.promptTokens * bytes,
    kvBytesReadPerStep: run.readTokensPerStep * bytes,
    ...(Number.isNaN(recall) ? {} : { evidenceRecall: recall }),
    density: 1,
    auxiliaryTokens: rewritten?.auxiliaryTokens ?? 0,
    indexBytes: rewritten?.indexBytes ?? 0,
    ...(request.traceKept ? { kept: everyPosition(facts, ids.length) } : {}),
  };
};

const everyPosition = (facts: OrtContext['facts'], tokens: number): Int32Array[][] =>
  facts.layers.map(({ numKvHeads }) =>
    Array.from({ length: numKvHeads }, () => Int32Array.from({ length: tokens }, (_, i) => i)),
  );

export const generate = async (context: OrtContext, request: GenerateRequest): Promise<GenerateOutcome> => {
  const { text, decoder, facts } = context;
  if (request.sampling !== undefined) checkSampling(request.sampling);
  const whole = { question: '', answerPrefix: '', documents: [], evidence: [], chatTemplate: true } as const;
  const ids = request.raw
    ? text.encodeRaw(request.text)
    : (({ contextIds, questionIds }) => concat(contextIds, questionIds))(
        text.prepare({ ...whole, context: request.text }),
      );
  if (ids.length === 0)
    throw new WinnowError('ERR_USAGE', 'prompt', 'at least one token', 0, 'The prompt file is empty.');
  if (request.setting !== undefined) {
    const bound = await bindMethod(request.setting.method, context.resolve);
    refuseMoreThanDense(resolveSetting(request.setting, bound, facts, 'query-aware', ids.length), ['admit']);
  }
  const run = await runText(decoder, {
    ids,
    maxNewTokens: request.maxNewTokens,
    ...(request.sampling === undefined ? {} : { sampling: request.sampling }),
    sampleSeed: 0,
    isStop: text.isStop,
    holdsStop: () => false,
  });
  return {
    promptTokens: ids.length,
    tokenIds: run.tokenIds,
    text: text.decode(run.tokenIds),
    finishReason: run.finishReason,
  };
};
