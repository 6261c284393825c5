import { asWinnowError, WinnowError } from '../../core/errors.js';
import type { PreparedPrompt, PromptParts, SampleOutcome, SampleRequest, SettingOutcome } from '../contract.js';
import { companionPrompts } from './companions.js';
import { contextParts } from './context-parts.js';
import { decode } from './decode.js';
import { type FedPrompt, QUERY_AWARE_TAIL, tailOf } from './fed-prompt.js';
import { failedOutcome, firstStop, type Job, outcomeOf } from './outcome.js';
import type { Profiles } from './profiles.js';
import { type RewriteContext, rewritePrompt } from './rewrite-prompt.js';
import { type ModelContext, type OpenSample, openSample, partition } from './sample.js';
import type { OpenServices } from './services.js';
import { type BoundMethod, bindMethod, type ResolvedSetting, type ResolveMethod, resolveSetting } from './settings.js';

/** Text in and out of an open model. */
export interface TextModel {
  prepare(parts: PromptParts): PreparedPrompt;
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

/** All settings of one sample: one prefill where it can be shared, one decode batch. Failing settings fail alone. */
export const evaluateSample = async (context: EvaluateContext, request: SampleRequest): Promise<SampleOutcome> =>
  (await evaluateSamples(context, [request]))[0]!;

/** One sample of a batch on its way. */
interface Evaluation {
  readonly request: SampleRequest;
  /** Tokens of its continuation. */
  readonly given?: Int32Array;
  readonly failures: Map<string, WinnowError>;
  readonly outcomes: Map<string, SettingOutcome>;
  readonly jobs: readonly Job[];
  prefills: number;
}

/**
 * Samples of any lengths, decoded as one batch: weights are read once for all of them. Each answer is the one the sample gets alone.
 * Times are shared out evenly. Holds the caches of all samples at once.
 */
export const evaluateSamples = async (
  context: EvaluateContext,
  requests: readonly SampleRequest[],
): Promise<SampleOutcome[]> => {
  const started = performance.now();
  const nativeBefore = context.nativeNanoseconds();
  const evaluations: Evaluation[] = [];
  for (const asked of requests) {
    const failures = new Map<string, WinnowError>();
    const given = givenTokens(context.text, asked);
    const request = given === undefined ? asked : { ...asked, maxNewTokens: given.length };
    const jobs = await makeJobs(context, request, context.text.prepare(request.prompt), failures);
    evaluations.push({
      ...{ request, failures, jobs, outcomes: new Map(), prefills: 0 },
      ...(given === undefined ? {} : { given }),
    });
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
  return evaluations.map(({ request, failures, outcomes, prefills }) => ({
    sampleId: request.sampleId,
    outcomes: request.settings.map(
      (setting) => outcomes.get(setting.key) ?? failedOutcome(setting.key, failures.get(setting.key)),
    ),
    prefills,
    prefillsUnshared: request.settings.filter((setting) => !failures.has(setting.key) || outcomes.has(setting.key))
      .length,
    nativeMs,
    totalMs,
  }));
};

const givenTokens = (text: TextModel, { sampleId, continuation, prompt }: SampleRequest): Int32Array | undefined => {
  if (continuation === undefined) return undefined;
  const ids = text.encodeContinuation(continuation, prompt.chatTemplate);
  if (ids.length > 0) return ids;
  throw new WinnowError('ERR_SUITE', `sample ${sampleId}, continuation`, 'at least one token', continuation);
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
    for (const { evaluation, job } of batch) samples.push(await open(context, evaluation.request, job));
    const decoded = decode(
      batch[0]!.job.model,
      batch.map(({ evaluation: { request, given }, job }, i) => ({
        sample: samples[i]!,
        tailIds: tailOf(fed(job), request.protocol),
        maxNewTokens: request.maxNewTokens,
        ...(given === undefined ? {} : { given }),
        holdsStop: (tokens) => request.stop.length > 0 && firstStop(context.text.decode(tokens), request.stop) >= 0,
      })),
      { isStop: context.text.isStop, recallSteps: RECALL_STEPS },
    );
    batch.forEach(({ evaluation, job }, i) => {
      const sample = samples[i]!;
      const { rows, failures } = decoded[i]!;
      const { request, outcomes } = evaluation;
      evaluation.prefills += sample.prefills;
      for (const [key, error] of sample.failures) evaluation.failures.set(key, error);
      for (const setting of job.settings) {
        const row = rows.get(setting.key);
        if (row !== undefined)
          outcomes.set(setting.key, outcomeOf(context.text.decode, request.stop, job, setting, sample, row));
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

const open = (context: EvaluateContext, request: SampleRequest, job: Job): Promise<OpenSample> =>
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
      companions: (setting) => companionPrompts(request.prompt, context.text.prepare, setting),
    },
    job.settings,
  );

const fed = ({ prompt, rewritten }: Job): FedPrompt => {
  const { softSpans: spans = [], ...ids } = prompt;
  const rows = rewritten?.softRows;
  if (rows === undefined) return { ...ids, tailTokens: QUERY_AWARE_TAIL };
  const at = spans.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i));
  return { ...ids, tailTokens: QUERY_AWARE_TAIL, soft: { at: Int32Array.from(at), rows, firstRow: 0 } };
};
