import { basename } from 'node:path';
import { WinnowError } from '../core/errors.js';
import type { Method, ModelFacts } from '../methods/contract.js';
import type { Addon } from '../native/addon-types.js';
import { openBackend } from './backend.js';
import { openCheckpoint } from './checkpoint.js';
import type {
  BatchTiming,
  BatchTimingRequest,
  CalibrateRequest,
  Engine,
  GenerateOutcome,
  GenerateRequest,
  MethodRef,
  OpenOptions,
  PerplexityOutcome,
  PerplexityRequest,
  SampleOutcome,
  SampleRequest,
  ScoreOutcome,
  ScoreRequest,
  TimingOutcome,
  TimingRequest,
} from './contract.js';
import { calibrate } from './core/calibrate.js';
import { createConversions } from './core/convert.js';
import { createDevice } from './core/device.js';
import { evaluateSample, evaluateSamples } from './core/each-question.js';
import type { EvaluateContext, TextModel } from './core/evaluate.js';
import { generate } from './core/generate.js';
import { architectureOf, freeWeights, loadWeights, modelFacts } from './core/load.js';
import { allLogits } from './core/logits.js';
import { perplexity } from './core/perplexity.js';
import { createProfiles } from './core/profiles.js';
import type { ModelContext } from './core/sample.js';
import { scoreContinuations } from './core/score.js';
import { timeSample } from './core/time.js';
import { timeBatches } from './core/time-batches.js';
import { createTransformer } from './core/transformer.js';
import { createEncoderServices, encoderOpener } from './encoder/services.js';
import type { ProfileHeader } from './profile-file.js';
import { isRandomModel, MOST_RANDOM_PARAMETERS_ON_HOST, parameterCount, randomModel } from './random-model.js';
import { runningText } from './running-text.js';
import { openTextModel } from './text-model.js';

/** What identifies a model in records; a bare path is identified by its name alone. */
export interface ModelIdentity {
  readonly id: string;
  readonly sha256: string;
}

/** An open model of any backend in this thread; `Engine` is the same behind a worker. */
export interface ServedEngine {
  readonly facts: ModelFacts;
  readonly machine: Engine['machine'];
  evaluate(request: SampleRequest): Promise<SampleOutcome>;
  /** Several samples as one decode batch; the answers are those that `evaluate` gives. */
  evaluateBatch(requests: readonly SampleRequest[]): Promise<SampleOutcome[]>;
  time(request: TimingRequest): Promise<TimingOutcome>;
  timeBatches(request: BatchTimingRequest): Promise<BatchTiming[]>;
  generate(request: GenerateRequest): Promise<GenerateOutcome>;
  /** Writes a profile of this model; see the engine contract. */
  calibrate(request: CalibrateRequest): Promise<ProfileHeader>;
  score(request: ScoreRequest): Promise<ScoreOutcome>;
  perplexity(request: PerplexityRequest): PerplexityOutcome | Promise<PerplexityOutcome>;
  logits(ids: Int32Array): Float32Array | Promise<Float32Array>;
  close(): void | Promise<void>;
}

/** An open model of a native backend. */
export interface LocalEngine extends ServedEngine {
  readonly context: ModelContext;
  readonly text: TextModel;
  perplexity(request: PerplexityRequest): PerplexityOutcome;
  logits(ids: Int32Array): Float32Array;
}

export interface LocalOptions extends OpenOptions {
  readonly identity?: ModelIdentity;
  resolveMethod(ref: MethodRef): Promise<Method>;
  /** Tests count or watch native calls. */
  wrapAddon?(addon: Addon): Addon;
  /** Throws ERR_INTERRUPTED when the caller has given up. */
  cancelled(): void;
}

const refuseHugeOnHost = (path: string, { backend }: LocalOptions): void => {
  if (backend !== 'cpu' || !isRandomModel(path)) return;
  const parameters = parameterCount(randomModel(path).config);
  if (parameters <= MOST_RANDOM_PARAMETERS_ON_HOST) return;
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    path,
    'at most 4 billion parameters on the cpu backend',
    `${(parameters / 1e9).toFixed(1)} billion`,
    'Use --backend cuda, or a smaller shape.',
  );
};

/** Opens a checkpoint on the cpu or cuda backend: packs the weights, reads tokenizer and template. */
export const openLocal = (path: string, options: LocalOptions): LocalEngine => {
  refuseHugeOnHost(path, options);
  const { addon, host, machine } = openBackend(options, options.wrapAddon ?? ((loaded) => loaded));
  const { activations, threads } = machine;
  const device = createDevice(addon, activations);

  const checkpoint = openCheckpoint(path);
  const architecture = architectureOf(checkpoint);
  const elementBytes = activations === 'bf16' ? 2 : 4;
  const identity = options.identity ?? { id: basename(path), sha256: '' };
  const model = modelFacts(checkpoint, identity.id, identity.sha256, elementBytes);
  const weights = loadWeights(device, checkpoint);
  checkpoint.close();
  const text = openTextModel(path);
  const transformer = createTransformer(device, architecture, weights);

  const context: ModelContext = {
    device,
    shapes: model.layers,
    elementBytes,
    freshHooks: false,
    rotary: transformer.rotaryTable,
    transformer,
    facts: model,
    prefillChunk: options.prefillChunk,
    convert: (setting) => conversions.open(context, setting),
    cancelled: options.cancelled,
  };
  const conversions = createConversions({
    device,
    architecture,
    weights,
    openCheckpoint: () => openCheckpoint(path),
  });
  const services = createEncoderServices(text.countTokens, encoderOpener(host, threads, options.cancelled));
  const profiles = createProfiles(device, model);
  const evaluateContext: EvaluateContext = {
    model: context,
    text,
    openServices: services.open,
    resolve: options.resolveMethod,
    profiles,
    nativeNanoseconds: () => addon.nativeNanoseconds(),
  };

  return {
    facts: model,
    context,
    text,
    machine,
    evaluate: (request) => evaluateSample(evaluateContext, request),
    evaluateBatch: (requests) => evaluateSamples(evaluateContext, requests),
    time: (request) => timeSample(evaluateContext, request),
    timeBatches: (request) => timeBatches(evaluateContext, request),
    generate: (request) => generate(evaluateContext, request, text.encodeRaw),
    calibrate: (request) => calibrate(evaluateContext, request),
    score: (request) =>
      scoreContinuations(evaluateContext, request, {
        prompt: text.encodeRaw,
        continuation: (raw) => text.encodeContinuation(raw, !request.raw),
      }),
    perplexity(request) {
      const { ids, scoredBytes } = runningText(text.tokenizer, request);
      return { ...perplexity(context, ids, request), scoredBytes };
    },
    logits: (ids) => allLogits(context, ids),
    close() {
      profiles.close();
      conversions.close();
      freeWeights(device, weights);
      transformer.dispose();
      return services.close();
    },
  };
};
