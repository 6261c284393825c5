import { asWinnowError, WinnowError } from '../../core/errors.js';
import type { PreparedPrompt, PromptParts, SampleOutcome, SampleRequest, SettingOutcome } from '../contract.js';
import { type Decoded, decode } from './decode.js';
import { type RewrittenPrompt, rewritePrompt } from './rewrite-prompt.js';
import { type FedPrompt, type ModelContext, type OpenSample, openSample, QUERY_AWARE_TAIL, tailOf } from './sample.js';
import type { OpenServices } from './services.js';
import { type BoundMethod, bindMethod, type ResolvedSetting, type ResolveMethod, resolveSetting } from './settings.js';

/** Text in and out of an open model. */
export interface TextModel {
  prepare(parts: PromptParts): PreparedPrompt;
  decode(ids: readonly number[]): string;
  isStop(token: number): boolean;
  countTokens(text: string): number;
}

export interface EvaluateContext {
  readonly model: ModelContext;
  readonly text: TextModel;
  readonly openServices: OpenServices;
  readonly resolve: ResolveMethod;
  /** Nanoseconds spent inside native ops so far. */
  nativeNanoseconds(): number;
}

/** Steps over which selectors are held against the evidence; more changes the mean little and costs a download per layer and step. */
const RECALL_STEPS = 8;

/** All settings of one sample: one prefill where it can be shared, one decode batch. Failing settings fail alone. */
export const evaluateSample = async (context: EvaluateContext, request: SampleRequest): Promise<SampleOutcome> => {
  const started = performance.now();
  const nativeBefore = context.nativeNanoseconds();
  const failures = new Map<string, WinnowError>();
  const prompt = context.text.prepare(request.prompt);
  const jobs = await makeJobs(context, request, prompt, failures);

  const outcomes = new Map<string, SettingOutcome>();
  let prefills = 0;
  let prefillsUnshared = 0;
  const evaluate = async (batch: readonly Job[]): Promise<void> => {
    const { samples, decoded } = await runJobs(context, request, batch);
    try {
      samples.forEach((sample, i) => {
        const job = batch[i]!;
        prefills += sample.prefills;
        for (const [key, error] of sample.failures) failures.set(key, error);
        for (const setting of job.settings) {
          const row = decoded.rows.get(setting.key);
          if (row !== undefined) outcomes.set(setting.key, outcomeOf(context, request, job, setting, sample, row));
        }
      });
    } finally {
      for (const sample of samples) sample.close();
    }
    // A hook that threw took its neighbours of the same method along: they get a batch of their own, with the same result.
    for (const [key, error] of decoded.failures) {
      const job = batch.find((one) => one.settings.some((setting) => setting.key === key))!;
      if (batch.length === 1 && job.settings.length === 1) failures.set(key, error);
      else await evaluate([{ ...job, settings: job.settings.filter((setting) => setting.key === key) }]);
    }
  };
  if (jobs.length > 0) await evaluate(jobs);

  for (const setting of request.settings)
    if (!failures.has(setting.key) || outcomes.has(setting.key)) prefillsUnshared++;
  return {
    sampleId: request.sampleId,
    outcomes: request.settings.map(
      (setting) => outcomes.get(setting.key) ?? failed(setting.key, failures.get(setting.key)),
    ),
    prefills,
    prefillsUnshared,
    nativeMs: (context.nativeNanoseconds() - nativeBefore) / 1e6,
    totalMs: performance.now() - started,
  };
};

/** Settings that see the same prompt. */
interface Job {
  readonly settings: readonly ResolvedSetting[];
  readonly prompt: PreparedPrompt;
  /** Of prompt methods: what came of the rewriting. */
  readonly rewritten?: Omit<RewrittenPrompt, 'prompt'>;
}

const makeJobs = async (
  context: EvaluateContext,
  request: SampleRequest,
  prompt: PreparedPrompt,
  failures: Map<string, WinnowError>,
): Promise<Job[]> => {
  const shared: ResolvedSetting[] = [];
  const rewrites: Job[] = [];
  const bound = new Map<string, Promise<BoundMethod>>();
  for (const setting of request.settings) {
    try {
      const name = JSON.stringify(setting.method);
      let method = bound.get(name);
      if (method === undefined) {
        method = bindMethod(setting.method, context.resolve);
        bound.set(name, method);
      }
      const resolved = resolveSetting(
        setting,
        await method,
        context.model.facts,
        request.protocol,
        prompt.contextIds.length,
      );
      if (resolved.hooks().prompt === undefined) shared.push(resolved);
      else {
        const rewriting = { openServices: context.openServices, prepare: context.text.prepare };
        const { prompt: own, ...rewritten } = await rewritePrompt(rewriting, request, prompt.headTokens, resolved);
        rewrites.push({ settings: [resolved], prompt: own, rewritten });
      }
    } catch (thrown) {
      failures.set(setting.key, asWinnowError(thrown, setting.key));
    }
  }
  return [...(shared.length > 0 ? [{ settings: shared, prompt }] : []), ...rewrites];
};

const runJobs = async (
  context: EvaluateContext,
  request: SampleRequest,
  jobs: readonly Job[],
): Promise<{ samples: OpenSample[]; decoded: Decoded }> => {
  const samples: OpenSample[] = [];
  try {
    for (const job of jobs) {
      samples.push(
        await openSample(
          context.model,
          {
            prompt: fed(job),
            protocol: request.protocol,
            sampleSeed: request.seed,
            maxNewTokens: request.maxNewTokens,
            standAlone: false,
            traceKept: request.traceKept,
          },
          job.settings,
        ),
      );
    }
    const decoded = decode(context.model, merge(samples), {
      tailIds: tailOf(fed(jobs[0]!), request.protocol),
      maxNewTokens: request.maxNewTokens,
      isStop: context.text.isStop,
      holdsStop: (tokens) => request.stop.length > 0 && firstStop(context.text.decode(tokens), request.stop) >= 0,
      recallSteps: RECALL_STEPS,
    });
    return { samples, decoded };
  } catch (thrown) {
    for (const sample of samples) sample.close();
    throw thrown;
  }
};

const fed = (job: Job): FedPrompt => ({ ...job.prompt, tailTokens: QUERY_AWARE_TAIL });

/** Samples of one question decode as one batch. */
const merge = (samples: readonly OpenSample[]): OpenSample => ({
  groups: samples.flatMap((sample) => sample.groups),
  failures: new Map(),
  firstLogits: new Map(samples.flatMap((sample) => [...sample.firstLogits])),
  density: new Map(),
  recall: new Map(),
  kept: new Map(),
  auxiliaryTokens: new Map(),
  prefills: 0,
  close: () => {},
});

const firstStop = (text: string, stops: readonly string[]): number => {
  let first = -1;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at >= 0 && (first < 0 || at < first)) first = at;
  }
  return first;
};

const outcomeOf = (
  context: EvaluateContext,
  request: SampleRequest,
  job: Job,
  setting: ResolvedSetting,
  sample: OpenSample,
  row: Decoded['rows'] extends ReadonlyMap<string, infer R> ? R : never,
): SettingOutcome => {
  const text = context.text.decode(row.tokenIds);
  const stop = firstStop(text, request.stop);
  const pairs = sample.density.get(setting.key);
  const kept = sample.kept.get(setting.key);
  const cached = sample.recall.get(setting.key) ?? Number.NaN;
  const recall = job.rewritten?.evidenceKept ?? (Number.isNaN(row.recallRead) ? cached : row.recallRead);
  return {
    key: setting.key,
    status: 'ok',
    text: stop >= 0 ? text.slice(0, stop) : text,
    tokenIds: row.tokenIds,
    finishReason: row.finishReason,
    promptTokens: job.prompt.contextIds.length + job.prompt.questionIds.length,
    contextTokens: job.prompt.contextIds.length,
    kvCacheBytes: row.kvCacheBytes,
    kvCacheBytesPeak: row.kvCacheBytesPeak,
    expectedKvCacheBytes: row.expectedKvCacheBytes,
    kvBytesReadPerStep: row.kvBytesReadPerStep,
    ...(Number.isNaN(recall) ? {} : { evidenceRecall: recall }),
    density: pairs === undefined || pairs.causalPairs === 0 ? 1 : pairs.pairs / pairs.causalPairs,
    auxiliaryTokens: (job.rewritten?.auxiliaryTokens ?? 0) + (sample.auxiliaryTokens.get(setting.key) ?? 0),
    ...(kept === undefined ? {} : { kept }),
    indexBytes: job.rewritten?.indexBytes ?? 0,
  };
};

const failed = (key: string, error: WinnowError | undefined): SettingOutcome => {
  const known = error ?? new WinnowError('ERR_INTERNAL', key, 'a result', 'none');
  const status =
    known.code === 'ERR_UNSUPPORTED' || known.code === 'ERR_BUDGET'
      ? 'unsupported'
      : known.code === 'ERR_OUT_OF_MEMORY'
        ? 'out-of-memory'
        : 'failed';
  return { key, status, error: { code: known.code, message: known.message } };
};
