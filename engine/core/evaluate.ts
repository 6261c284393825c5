import { asWinnowError, WinnowError } from '../../core/errors.js';
import type { PreparedPrompt, PromptParts, SampleOutcome, SampleRequest, SettingOutcome } from '../contract.js';
import { companionPrompts } from './companions.js';
import { contextParts, documentSegments } from './context-parts.js';
import { concat, type FedPrompt, QUERY_AWARE_TAIL, tailOf } from './fed-prompt.js';
import { failedOutcome, firstStop, type Job } from './outcome.js';
import type { Profiles } from './profiles.js';
import { type RewriteContext, rewritePrompt } from './rewrite-prompt.js';
import { type ModelContext, type OpenSample, openSample, partition } from './sample.js';
import type { OpenServices } from './services.js';
import { type BoundMethod, bindMethod, type ResolvedSetting, type ResolveMethod, resolveSetting } from './settings.js';
import { answerOf } from './turn-outcome.js';
import { planTurns, type TurnPlan } from './turn-plan.js';
import { type Asking, answerTurns } from './turns.js';

/** Text in and out of an open model. */
export interface TextModel {
  prepare(parts: PromptParts): PreparedPrompt;
  /** Ids that lead from one answer of a conversation to the next, which follows. */
  prepareNextTurn(parts: Pick<PromptParts, 'question' | 'answerPrefix' | 'chatTemplate'>): Int32Array;
  decode(ids: readonly number[]): string;
  isStop(token: number): boolean;
  countTokens(text: string): number;
  /** Token ids of a plain text: no template, no start tokens. */
  encode(text: string): Int32Array;
  /** Token ids of text that goes on after a prompt. */
  encodeContinuation(text: string, chatTemplate: boolean): Int32Array;
}

export interface EvaluateContext {
  readonly model: ModelContext;
  readonly text: TextModel;
  readonly openServices: OpenServices;
  readonly resolve: ResolveMethod;
  readonly profiles: Profiles;
  /** Nanoseconds spent inside native ops so far. */
  nativeNanoseconds(): number;
}

/** Steps over which selectors are held against the evidence; more changes the mean little and costs a download per layer and step. */
const RECALL_STEPS = 8;

/** One sample of a batch on its way. */
interface Evaluation {
  readonly plan: TurnPlan;
  readonly failures: Map<string, WinnowError>;
  readonly outcomes: Map<string, SettingOutcome>;
  readonly jobs: readonly Job[];
  prefills: number;
}

/**
 * All settings of samples of any lengths: one prefill of a sample where it can be shared, one decode batch, so that weights are read once
 * for all of them. Each answer is the one the sample gets alone; failing settings fail alone. Times are shared out evenly. Holds the caches of all samples at once.
 */
export const evaluateTogether = async (
  context: EvaluateContext,
  requests: readonly SampleRequest[],
): Promise<SampleOutcome[]> => {
  const started = performance.now();
  const nativeBefore = context.nativeNanoseconds();
  const evaluations: Evaluation[] = [];
  for (const asked of requests) {
    const failures = new Map<string, WinnowError>();
    const plan = planTurns(context.text, asked);
    const jobs = await makeJobs(context, plan.request, plan.prompt, failures);
    evaluations.push({ plan, failures, jobs, outcomes: new Map(), prefills: 0 });
  }
  const jobs = evaluations.flatMap((evaluation) => evaluation.jobs.map((job) => ({ evaluation, job })));
  try {
    await runJobs(context, jobs);
  } finally {
    for (const { job } of jobs)
      if (job.rewritten?.softRows !== undefined) context.model.device.free(job.rewritten.softRows);
  }
  const nativeMs = (context.nativeNanoseconds() - nativeBefore) / 1e6 / requests.length;
  const totalMs = (performance.now() - started) / requests.length;
  return evaluations.map(({ plan: { request, turns }, failures, outcomes, prefills }) => ({
    sampleId: request.sampleId,
    outcomes: request.settings.map(
      (setting) => outcomes.get(setting.key) ?? failedOutcome(setting.key, failures.get(setting.key)),
    ),
    prefills,
    prefillsUnshared:
      (request.turnsContinue === true ? 1 : turns.length) *
      request.settings.filter((setting) => !failures.has(setting.key) || outcomes.has(setting.key)).length,
    nativeMs,
    totalMs,
  }));
};

const makeJobs = async (
  context: EvaluateContext,
  request: SampleRequest,
  prompt: PreparedPrompt,
  failures: Map<string, WinnowError>,
): Promise<Job[]> => {
  const shared: ResolvedSetting[] = [];
  const converted: ResolvedSetting[] = [];
  const rewrites: Job[] = [];
  const bound = new Map<string, Promise<BoundMethod>>();
  for (const setting of request.settings) {
    try {
      const name = JSON.stringify(setting.method);
      let method = bound.get(name);
      if (method === undefined) {
        method = bindMethod(setting.method, context.resolve, context.profiles);
        bound.set(name, method);
      }
      const resolved = resolveSetting(
        setting,
        await method,
        context.model.facts,
        request.protocol,
        prompt.contextIds.length,
      );
      const hooks = resolved.hooks();
      if (request.turnsContinue === true && hooks.output?.companions !== undefined)
        throw twinsInConversation(setting.key);
      if (hooks.prompt === undefined) (hooks.weights === undefined ? shared : converted).push(resolved);
      else {
        const rewriting = rewritingOf(context);
        const { prompt: own, ...rewritten } = await rewritePrompt(rewriting, request, prompt.headTokens, resolved);
        const model = context.model.convert(resolved);
        rewrites.push({ settings: [resolved], prompt: own, model, rewritten });
      }
    } catch (thrown) {
      failures.set(setting.key, asWinnowError(thrown, setting.key));
    }
  }
  const { model } = context;
  const conversions = partition(converted, ({ bound }) => bound.identity).flatMap((settings): Job[] => {
    try {
      return [{ settings, prompt, model: model.convert(settings[0]!) }];
    } catch (thrown) {
      for (const { key } of settings) failures.set(key, asWinnowError(thrown, key));
      return [];
    }
  });
  return [...(shared.length > 0 ? [{ settings: shared, prompt, model }] : []), ...conversions, ...rewrites];
};

const twinsInConversation = (key: string): WinnowError =>
  new WinnowError(
    'ERR_UNSUPPORTED',
    key,
    'questions that stand alone',
    'a conversation',
    'Prompts of twin rows hold one question; leave the history out (history: none).',
  );

interface RunningJob {
  readonly evaluation: Evaluation;
  readonly job: Job;
}

const rewritingOf = ({ model, text, openServices }: EvaluateContext): RewriteContext => ({
  openServices,
  prepare: text.prepare,
  embeddings: {
    device: model.device,
    hiddenSize: model.facts.hiddenSize,
    of: (plain) => model.transformer.embed(text.encode(plain)),
  },
});

/** Jobs on one model are one batch. */
const runJobs = async (context: EvaluateContext, jobs: readonly RunningJob[]): Promise<void> => {
  const models = [...new Set(jobs.map(({ job }) => job.model.transformer))];
  for (const transformer of models)
    await runBatch(
      context,
      jobs.filter(({ job }) => job.model.transformer === transformer),
    );
};

const runBatch = async (context: EvaluateContext, batch: readonly RunningJob[]): Promise<void> => {
  const samples: OpenSample[] = [];
  const again: RunningJob[] = [];
  try {
    for (const { evaluation, job } of batch) samples.push(await open(context, evaluation.plan, job));
    const decoded = answerTurns(
      batch[0]!.job.model,
      batch.map(({ evaluation, job }, i) => askingOf(context, evaluation.plan, job, samples[i]!)),
      { isStop: context.text.isStop, recallSteps: RECALL_STEPS },
    );
    batch.forEach(({ evaluation, job }, i) => {
      const sample = samples[i]!;
      const { failures } = decoded[i]!;
      evaluation.prefills += sample.prefills;
      for (const [key, error] of sample.failures) evaluation.failures.set(key, error);
      for (const setting of job.settings) {
        const outcome = answerOf(context.text.decode, evaluation.plan, job, setting, sample, decoded[i]!);
        if (outcome !== undefined) evaluation.outcomes.set(setting.key, outcome);
      }
      // A hook that threw took its neighbours of the same method along: they get a batch of their own, with the same result.
      for (const [key, error] of failures) {
        if (batch.length === 1 && job.settings.length === 1) evaluation.failures.set(key, error);
        else
          again.push({ evaluation, job: { ...job, settings: job.settings.filter((setting) => setting.key === key) } });
      }
    });
  } finally {
    for (const sample of samples) sample.close();
  }
  for (const one of again) await runBatch(context, [one]);
};

const open = (context: EvaluateContext, { request, turns }: TurnPlan, job: Job): Promise<OpenSample> =>
  openSample(
    job.model,
    {
      prompt: fed(job),
      protocol: request.protocol,
      sampleSeed: request.seed,
      maxNewTokens: request.maxNewTokens,
      standAlone: false,
      traceKept: request.traceKept,
      parts: contextParts(request.prompt, job.prompt),
      ...(turns.length > 1
        ? {}
        : { companions: (setting) => companionPrompts(request.prompt, context.text.prepare, setting) }),
    },
    job.settings,
  );

const askingOf = ({ text }: EvaluateContext, plan: TurnPlan, job: Job, sample: OpenSample): Asking => {
  const { request, turns, given } = plan;
  const { contextIds, questionIds } = job.prompt;
  const tail = tailOf(fed(job), request.protocol);
  return {
    sample,
    continues: request.turnsContinue === true,
    several: turns.length > 1,
    before:
      request.protocol === 'query-agnostic'
        ? contextIds
        : concat(contextIds, questionIds.subarray(0, questionIds.length - tail.length)),
    turns: turns.map(({ ids = tail, asked, answeredIds, evidence, maxNewTokens, stop }) => ({
      ...{ ids, evidence, maxNewTokens },
      ...(answeredIds === undefined ? {} : { answeredIds }),
      holdsStop: (tokens) => stop.length > 0 && firstStop(text.decode(tokens), stop) >= 0,
      companions: (setting) => companionPrompts({ ...request.prompt, ...asked }, text.prepare, setting),
    })),
    ...(given === undefined ? {} : { given }),
  };
};

const fed = ({ prompt, rewritten }: Job): FedPrompt => {
  const { softSpans: spans = [], ...prepared } = prompt;
  const segments = documentSegments(prompt);
  const ids = { ...prepared, ...(segments === undefined ? {} : { segments }) };
  const rows = rewritten?.softRows;
  if (rows === undefined) return { ...ids, tailTokens: QUERY_AWARE_TAIL };
  const at = spans.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i));
  return { ...ids, tailTokens: QUERY_AWARE_TAIL, soft: { at: Int32Array.from(at), rows, firstRow: 0 } };
};
