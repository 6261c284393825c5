/** What the runner asks of an engine and what it gets back. The engine runs in a worker thread; everything here can be cloned. */
import type { ModelFacts, Protocol, TokenSpan } from '../methods/contract.js';
import type { DeviceFacts } from '../native/addon-types.js';
import type { BatchTiming, BatchTimingRequest, TimingOutcome, TimingRequest } from './timing-contract.js';

export type { BatchSize, BatchTiming, BatchTimingRequest, TimingOutcome, TimingRequest } from './timing-contract.js';

export type BackendName = 'cpu' | 'cuda' | 'ort';
export type NumericsName = 'native' | 'reference';
export type IsaName = 'auto' | 'amx' | 'avx512bf16' | 'avx512' | 'avx2' | 'scalar';

export interface OpenOptions {
  readonly backend: BackendName;
  readonly numerics: NumericsName;
  readonly isa: IsaName;
  /** 0 = all cores. */
  readonly threads: number;
  /** Tokens of one prefill chunk. */
  readonly prefillChunk: number;
}

/**
 * Prompt text cut into the parts that are tokenised apart: `head` (template start and instruction, part of the context), `context`,
 * `question` (with the template's turn change) and `answerPrefix`. Evidence and documents are UTF-16 ranges of `context`.
 */
export interface PromptParts {
  readonly context: string;
  readonly question: string;
  readonly answerPrefix: string;
  readonly documents: readonly TokenSpan[];
  readonly evidence: readonly TokenSpan[];
  /** Tokens without text that stand in the context at a character (not within a pair of surrogates), in order. */
  readonly soft?: readonly { readonly at: number; readonly tokens: number }[];
  /** false: bytes as they are, no template. */
  readonly chatTemplate: boolean;
  readonly system?: string;
}

/** Token ids ready to feed. contextIds begin with the template's start; n = contextIds.length. */
export interface PreparedPrompt {
  readonly contextIds: Int32Array;
  readonly questionIds: Int32Array;
  /** Token ranges of contextIds. */
  readonly evidence: readonly TokenSpan[];
  readonly documents: readonly TokenSpan[];
  /** Tokens before the context text (template start). */
  readonly headTokens: number;
  /** Where the tokens without text stand; their ids are -1. */
  readonly softSpans?: readonly TokenSpan[];
}

export interface SettingRequest {
  /** Name for the answer; unique in the request. */
  readonly key: string;
  readonly method: MethodRef;
  /** Exactly one unless the method has no budget (`dense`). */
  readonly keptFraction?: number;
  readonly tokenBudget?: number;
}
/** A built-in id, a file outside the tree, or a composition of both. */
export interface MethodRef {
  readonly id: string;
  readonly file?: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** File with what calibration found out, for methods that want it. */
  readonly profile?: string;
  /** Of that file, where a suite names it: cells are tied to what it says, not to where it lies. */
  readonly profileSha256?: string;
  readonly parts?: readonly MethodRef[];
}

export interface SampleRequest {
  readonly sampleId: string;
  readonly seed: number;
  readonly prompt: PromptParts;
  readonly protocol: Protocol;
  readonly settings: readonly SettingRequest[];
  readonly maxNewTokens: number;
  /** Extra stop strings beside the model's stop tokens; the text is cut before them. */
  readonly stop: readonly string[];
  /** Text after the answer prefix that is fed token by token instead of what the model would choose; `maxNewTokens` and `stop` are idle. */
  readonly continuation?: string;
  /** Further questions, in order; none together with a continuation. */
  readonly turns?: readonly TurnRequest[];
  /** Each turn goes on after the one before. Absent: every question stands alone after the context. */
  readonly turnsContinue?: boolean;
  /** Record positions kept per (layer, head) at the end of prefill. */
  readonly traceKept: boolean;
}

/** A further question over the same context. Evidence as in the prompt. */
export interface TurnRequest {
  readonly question: string;
  readonly answerPrefix: string;
  readonly evidence: readonly TokenSpan[];
  readonly maxNewTokens: number;
  readonly stop: readonly string[];
  /** Of conversations: what stands as the answer to the turn before, read together with this question; absent: what the setting said. */
  readonly answered?: string;
}

/** What a model thinks of text that it was given token by token in decode steps, as generating it would have gone. */
export interface GivenMeasure {
  readonly tokens: number;
  /** Sum over the tokens, natural logarithm. A probability below the smallest double counts as that. */
  readonly logProbability: number;
  /** Tokens that greedy decoding would have chosen at their place, given those before. */
  readonly greedyTokens: number;
}

export type SettingOutcome =
  | ({ readonly key: string; readonly status: 'ok' } & SettingResult)
  | {
      readonly key: string;
      readonly status: 'failed' | 'unsupported' | 'out-of-memory';
      readonly error: { readonly code: string; readonly message: string };
    };

export interface SettingResult {
  /** The answer; of a given continuation: what greedy decoding would have chosen at each of its tokens. */
  readonly text: string;
  readonly tokenIds: readonly number[];
  readonly finishReason: 'stop' | 'length';
  /** Only of requests with a continuation. */
  readonly given?: GivenMeasure;
  /** Tokens fed in all: context, question, answer prefix. */
  readonly promptTokens: number;
  readonly contextTokens: number;
  /** Resident KV bytes (with declared state) after the prompt was fed, as if alone; mean and peak over the steps. */
  readonly kvCacheBytes: number;
  readonly kvCacheBytesPeak: number;
  /** Mean bytes of K and V (and of what the selector read) per decode step. */
  readonly kvBytesReadPerStep: number;
  /** Mean bytes moved between the device and a second tier per decode step, both ways; absent without a tier. */
  readonly kvBytesMovedPerStep?: number;
  /** Bytes by the method's formula, where it has one: derived from slots, widths and declared state. */
  readonly expectedKvCacheBytes: number;
  /** Share of evidence tokens still cached (eviction) or read (selection), mean over layers and KV heads; absent without evidence. */
  readonly evidenceRecall?: number;
  /** Query-key pairs computed ÷ causal pairs of the prompt. */
  readonly density: number;
  readonly auxiliaryTokens: number;
  readonly indexBytes: number;
  /**
   * Only of requests with turns: every turn, the first included. The fields beside it are then the first text, all tokens, means over the
   * turns, and the largest peak.
   */
  readonly turns?: readonly TurnResult[];
  /**
   * Only of requests with turns: what was known when the cache was compressed. `each-question`: a prefill of its own for every turn, as
   * questions that stand alone have under the query-aware protocol.
   */
  readonly compressedFor?: 'context' | 'first-question' | 'each-question';
  /** Kept positions per layer and head, only with traceKept. */
  readonly kept?: readonly (readonly Int32Array[])[];
}

/** One turn of a setting; bytes are those after its question was fed, with all that stands before it. */
export type TurnResult = Pick<
  SettingResult,
  | 'text'
  | 'tokenIds'
  | 'finishReason'
  | 'promptTokens'
  | 'kvCacheBytes'
  | 'kvCacheBytesPeak'
  | 'kvBytesReadPerStep'
  | 'evidenceRecall'
>;

export interface SampleOutcome {
  readonly sampleId: string;
  readonly outcomes: readonly SettingOutcome[];
  /** Prefills run for this sample, and what one prefill per setting would have cost. */
  readonly prefills: number;
  readonly prefillsUnshared: number;
  /** Wall time inside native ops and in all, for the engine-overhead meter. */
  readonly nativeMs: number;
  readonly totalMs: number;
}

/** How tokens are drawn. Absent: greedy. */
export interface Sampling {
  /** Logits are divided by it; 0 is greedy. */
  readonly temperature: number;
  /** Only so many of the most likely tokens. */
  readonly topK?: number;
  /** Only the most likely tokens that together hold this share of the mass. */
  readonly topP?: number;
  /** Only tokens of at least this share of the largest probability. */
  readonly minP?: number;
  readonly seed: number;
}

export interface CalibrateRequest {
  readonly method: MethodRef;
  /** Not the texts that it will be measured on; see datasets/calibration.ts. */
  readonly texts: readonly string[];
  readonly seed: number;
  /** The profile is written here. */
  readonly out: string;
}

export interface GenerateRequest {
  /** Text fed as it is when `raw`, else as one user turn of the chat template. */
  readonly text: string;
  readonly raw: boolean;
  readonly maxNewTokens: number;
  readonly setting?: SettingRequest;
  readonly sampling?: Sampling;
}
export interface GenerateOutcome {
  readonly promptTokens: number;
  readonly tokenIds: readonly number[];
  readonly text: string;
  readonly finishReason: 'stop' | 'length';
}

/** Log-probabilities of given continuations after one prompt. */
export interface ScoreRequest {
  /** As in `GenerateRequest`. */
  readonly text: string;
  readonly raw: boolean;
  /** Tokenised apart from the prompt, as text that goes on after it. */
  readonly continuations: readonly string[];
  readonly setting?: SettingRequest;
}
export interface ContinuationScore {
  readonly tokenIds: readonly number[];
  /** Natural logarithms, by token. */
  readonly logProbabilities: readonly number[];
  readonly total: number;
  /** Whether greedy decoding gives exactly these tokens first. */
  readonly isGreedy: boolean;
}
export interface ScoreOutcome {
  readonly promptTokens: number;
  readonly continuations: readonly ContinuationScore[];
}

export interface PerplexityRequest {
  /** Fed as it is; special tokens written in it are plain text. */
  readonly text: string;
  /** Begin with the model's begin-of-text token. */
  readonly bos: boolean;
  /** Tokens of one window, at most the model's positions; and how far the next one goes, less than a window. */
  readonly window: number;
  readonly stride: number;
}
export interface PerplexityOutcome {
  readonly tokens: number;
  readonly windows: number;
  /** Negative log-likelihood in nats of every token but the first. */
  readonly nll: Float64Array;
  /** UTF-8 bytes of the text that those tokens stand for. */
  readonly scoredBytes: number;
}

/** An open model. One at a time per engine; calls are queued. `signal` cancels between chunks and steps with ERR_INTERRUPTED. */
export interface Engine {
  readonly facts: ModelFacts;
  /** What was chosen: instruction set (of a device: its architecture), threads, activation dtype; the device if there is one. */
  readonly machine: {
    readonly isa: string;
    readonly threads: number;
    readonly activations: 'f32' | 'bf16';
    readonly device?: DeviceFacts;
  };
  evaluate(request: SampleRequest, signal?: AbortSignal): Promise<SampleOutcome>;
  /** Several samples, of any lengths, decoded as one batch that reads the weights once; the answers are those that `evaluate` gives. */
  evaluateBatch(requests: readonly SampleRequest[], signal?: AbortSignal): Promise<readonly SampleOutcome[]>;
  time(request: TimingRequest, signal?: AbortSignal): Promise<TimingOutcome>;
  /** One prefill, then decode steps of so many copies of it at once; one answer for each size asked for. */
  timeBatches(request: BatchTimingRequest, signal?: AbortSignal): Promise<readonly BatchTiming[]>;
  generate(request: GenerateRequest, signal?: AbortSignal): Promise<GenerateOutcome>;
  /** Writes a profile of this model for a method that calibrates; resolves to the profile's header. */
  calibrate(request: CalibrateRequest, signal?: AbortSignal): Promise<Readonly<Record<string, unknown>>>;
  score(request: ScoreRequest, signal?: AbortSignal): Promise<ScoreOutcome>;
  perplexity(request: PerplexityRequest, signal?: AbortSignal): Promise<PerplexityOutcome>;
  /** float32 [ids.length, vocabSize], row-major. */
  logits(ids: Int32Array, signal?: AbortSignal): Promise<Float32Array>;
  close(): Promise<void>;
}
