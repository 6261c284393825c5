import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { WinnowError } from '../core/errors.js';
import type { Method, Services } from '../methods/contract.js';
import { createBm25 } from '../methods/prompt/bm25.js';
import { loadAddon } from '../native/index.js';
import { openCheckpoint } from './checkpoint.js';
import type {
  GenerateOutcome,
  GenerateRequest,
  MethodRef,
  OpenOptions,
  SampleOutcome,
  SampleRequest,
  TimingOutcome,
  TimingRequest,
} from './contract.js';
import { decode } from './core/decode.js';
import { createDevice } from './core/device.js';
import { type EvaluateContext, evaluateSample, type TextModel } from './core/evaluate.js';
import { architectureOf, loadWeights, modelFacts } from './core/load.js';
import { type ModelContext, openSample } from './core/sample.js';
import { bindMethod, resolveSetting } from './core/settings.js';
import { createTransformer } from './core/transformer.js';
import { preparePrompt, templateOf } from './prompt.js';
import { loadTokenizer } from './tokenizer.js';

/** What identifies a model in records; a bare path is identified by its name alone. */
export interface ModelIdentity {
  readonly id: string;
  readonly sha256: string;
}

/** An open model in this thread. `Engine` is the same behind a worker. */
export interface LocalEngine {
  readonly context: ModelContext;
  readonly text: TextModel;
  readonly machine: { readonly isa: string; readonly threads: number; readonly activations: 'f32' | 'bf16' };
  evaluate(request: SampleRequest): Promise<SampleOutcome>;
  time(request: TimingRequest): Promise<TimingOutcome>;
  generate(request: GenerateRequest): Promise<GenerateOutcome>;
  logits(ids: Int32Array): Float32Array;
  close(): void;
}

export interface LocalOptions extends OpenOptions {
  readonly identity?: ModelIdentity;
  resolveMethod(ref: MethodRef): Promise<Method>;
  /** Throws ERR_INTERRUPTED when the caller has given up. */
  cancelled(): void;
}

/** Opens a checkpoint on the cpu backend: chooses the instruction set, packs the weights, reads tokenizer and template. */
export const openLocal = (path: string, options: LocalOptions): LocalEngine => {
  if (options.backend !== 'cpu') {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      'backend',
      'cpu',
      options.backend,
      'The other backends are not built yet; use --backend cpu.',
    );
  }
  const addon = loadAddon();
  const facts = addon.cpuFacts();
  const isa = options.isa === 'auto' ? facts.isas[0]! : options.isa;
  if (!facts.isas.includes(isa)) {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      'isa',
      `one that this machine has (${facts.isas.join(', ')})`,
      isa,
      'Use --isa auto.',
    );
  }
  const threads = options.threads > 0 ? options.threads : facts.cores;
  const activations = addon.configure(isa, options.numerics, threads);
  const device = createDevice(addon, activations);

  const checkpoint = openCheckpoint(path);
  const architecture = architectureOf(checkpoint);
  const elementBytes = activations === 'bf16' ? 2 : 4;
  const identity = options.identity ?? { id: basename(path), sha256: '' };
  const model = modelFacts(checkpoint, identity.id, identity.sha256, elementBytes);
  const weights = loadWeights(device, checkpoint);
  checkpoint.close();
  const tokenizer = loadTokenizer(path);
  const template = templateOf(tokenizer);
  const transformer = createTransformer(device, architecture, weights);

  const stops = new Set(tokenizer.stopIds);
  const text: TextModel = {
    prepare: (parts) => preparePrompt(parts, tokenizer, template),
    decode: (ids) => tokenizer.decode(ids),
    isStop: (token) => stops.has(token),
    countTokens: (plain) => tokenizer.encode(plain, { specials: 'none' }).length,
  };
  const context: ModelContext = {
    device,
    shapes: model.layers,
    elementBytes,
    freshHooks: false,
    transformer,
    facts: model,
    prefillChunk: options.prefillChunk,
    cancelled: options.cancelled,
  };
  const evaluateContext: EvaluateContext = {
    model: context,
    text,
    services: createServices(text),
    resolve: options.resolveMethod,
    nativeNanoseconds: () => addon.nativeNanoseconds(),
  };

  return {
    context,
    text,
    machine: { isa, threads, activations },
    evaluate: (request) => evaluateSample(evaluateContext, request),
    time: (request) => timeSample(evaluateContext, request),
    generate: (request) => generate(evaluateContext, request, (raw) => tokenizer.encode(raw, { specials: 'parse' })),
    logits: (ids) => allLogits(context, ids),
    close() {
      for (const layer of weights.layers) {
        for (const w of [layer.qkv, layer.output, layer.gateUp, layer.down]) addon.freeWeight(w);
        for (const t of [layer.attentionNorm, layer.ffnNorm]) addon.free(t);
      }
      addon.free(weights.finalNorm);
      addon.freeWeight(weights.embedding);
      if (weights.head !== weights.embedding) addon.freeWeight(weights.head);
      transformer.dispose();
    },
  };
};

const createServices = (text: TextModel): Services => {
  const later = (what: string) => (): Promise<never> =>
    Promise.reject(
      new WinnowError(
        'ERR_UNSUPPORTED',
        `services.${what}`,
        'countTokens or bm25',
        what,
        'Encoder models come with the methods that need them.',
      ),
    );
  return {
    countTokens: text.countTokens,
    bm25: (texts) => createBm25(texts),
    embed: later('embed'),
    rerank: later('rerank'),
  };
};

const dense: MethodRef = { id: 'dense', params: {} };

const generate = async (
  context: EvaluateContext,
  request: GenerateRequest,
  encodeRaw: (text: string) => Int32Array,
): Promise<GenerateOutcome> => {
  const { model, text } = context;
  const prompt = request.raw
    ? {
        contextIds: encodeRaw(request.text),
        questionIds: new Int32Array(0),
        evidence: [],
        documents: [],
        headTokens: 0,
      }
    : text.prepare({
        context: request.text,
        question: '',
        answerPrefix: '',
        documents: [],
        evidence: [],
        chatTemplate: true,
      });
  if (prompt.contextIds.length === 0)
    throw new WinnowError('ERR_USAGE', 'prompt', 'at least one token', 0, 'The prompt file is empty.');
  const setting = request.setting ?? { key: 'dense', method: dense };
  const bound = await bindMethod(setting.method, context.resolve);
  const resolved = resolveSetting(setting, bound, model.facts, 'query-aware', prompt.contextIds.length);
  const sample = await openSample(
    model,
    { prompt, protocol: 'query-aware', sampleSeed: 0, maxNewTokens: request.maxNewTokens, standAlone: false },
    [resolved],
  );
  try {
    for (const error of sample.failures.values()) throw error;
    const { rows, failures } = decode(model, sample, {
      questionIds: prompt.questionIds,
      protocol: 'query-aware',
      maxNewTokens: request.maxNewTokens,
      isStop: text.isStop,
      holdsStop: () => false,
      recallSteps: 0,
    });
    for (const error of failures.values()) throw error;
    const row = rows.get(setting.key)!;
    return {
      promptTokens: prompt.contextIds.length + prompt.questionIds.length,
      tokenIds: row.tokenIds,
      text: text.decode(row.tokenIds),
      finishReason: row.finishReason,
    };
  } finally {
    sample.close();
  }
};

/** Rows of logits computed at once: the full matrix of a long prompt would not fit beside the weights. */
const LOGIT_ROWS = 128;

const allLogits = (context: ModelContext, ids: Int32Array): Float32Array => {
  const { device, transformer, shapes, facts } = context;
  const out = new Float32Array(ids.length * facts.vocabSize);
  const cache = transformer.newCache();
  try {
    for (let start = 0; start < ids.length; start += LOGIT_ROWS) {
      context.cancelled();
      const part = ids.subarray(start, Math.min(ids.length, start + LOGIT_ROWS));
      const logits = transformer.run({
        ids: part,
        positions: Int32Array.from({ length: part.length }, (_, i) => start + i),
        caches: Int32Array.of(cache),
        queryLen: part.length,
        logits: 'all',
        attend(layer, q, attended) {
          const shape = shapes[layer]!;
          device.addon.attendPrefill(
            q.id,
            cache,
            layer,
            1 / Math.sqrt(shape.headDim),
            shape.softCap ?? 0,
            shape.slidingWindow ?? 0,
            0,
            attended.id,
            0,
          );
        },
      });
      out.set(device.addon.download(logits!.id) as Float32Array, start * facts.vocabSize);
    }
  } finally {
    device.addon.cacheFree(cache);
  }
  return out;
};

/** One setting alone, with the clock running and nothing beside it. */
const timeSample = async (context: EvaluateContext, request: TimingRequest): Promise<TimingOutcome> => {
  const { model, text } = context;
  const prompt = text.prepare(request.prompt);
  const bound = await bindMethod(request.setting.method, context.resolve);
  const resolved = resolveSetting(request.setting, bound, model.facts, request.protocol, prompt.contextIds.length);
  if (resolved.hooks().prompt !== undefined) {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      request.setting.key,
      'a method without a prompt hook',
      'a prompt method',
      'Its time is not measured yet.',
    );
  }
  resetPeak();
  const started = performance.now();
  let prefilled = started;
  let compressed = started;
  const sample = await openSample(
    model,
    {
      prompt,
      protocol: request.protocol,
      sampleSeed: request.seed,
      maxNewTokens: request.maxNewTokens,
      standAlone: true,
      watch: {
        prefilled: () => {
          prefilled = performance.now();
        },
        compressed: () => {
          compressed = performance.now();
        },
      },
    },
    [resolved],
  );
  const tokens: number[] = [];
  try {
    for (const error of sample.failures.values()) throw error;
    const opened = performance.now();
    decode(model, sample, {
      questionIds: prompt.questionIds,
      protocol: request.protocol,
      maxNewTokens: request.maxNewTokens,
      isStop: () => false,
      holdsStop: () => false,
      recallSteps: 0,
      onToken: () => tokens.push(performance.now() - opened),
    });
  } finally {
    sample.close();
  }
  const first = tokens[0]!;
  return {
    prefillMs: prefilled - started,
    compressionMs: compressed - prefilled,
    timeToFirstTokenMs: compressed - started + first,
    decodeMsPerToken: tokens.length > 1 ? (tokens.at(-1)! - first) / (tokens.length - 1) : Number.NaN,
    generatedTokens: tokens.length,
    peakResidentBytes: peakResident(),
  };
};

/** Linux: the high-water mark of resident memory starts anew. Elsewhere the mark is of the whole process. */
const resetPeak = (): void => {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Not Linux, or not allowed: the peak then covers the process's life, which is what the record says it is.
  }
};
const peakResident = (): number => {
  try {
    const kilobytes = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    if (kilobytes !== undefined) return Number(kilobytes) * 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024;
};
