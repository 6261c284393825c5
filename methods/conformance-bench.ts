/**
 * The test bench that the conformance suite drives: the engine with its lid off.
 *
 * It runs method objects (not ids), so that tests can wrap them, and answers with what an adapter's promises are about: token ids,
 * logits, slots, hashes, bytes and counters. `engine/bench.ts` implements it; nothing but tests uses it.
 */
import type { Method, ModelFacts, Protocol, Tensor, TokenSpan } from './contract.js';

export interface BenchOptions {
  readonly numerics: 'native' | 'reference';
  /** Absent: cpu. */
  readonly backend?: 'cpu' | 'cuda';
  /** 0 or absent: all cores. */
  readonly threads?: number;
}
export type OpenBench = (modelPath: string, options: BenchOptions) => Promise<ConformanceBench>;

export interface ConformanceBench {
  readonly facts: ModelFacts;
  /** Prefill, compression, question and greedy decoding of all settings of one sample; one row per setting, in request order. */
  run(request: BenchRequest): Promise<readonly BenchRow[]>;
  /** The same up to the point where decoding would start (prompt fed, compressed); one session per setting, which the test frees. */
  begin(request: BenchRequest): Promise<readonly BenchSession[]>;
  /** Host copy of a tensor that a hook holds; valid while the hook runs. Not billed, not counted as a host read. */
  peek(tensor: Tensor): ArrayLike<number>;
  /** Bytes of native tensors and of KV pages in use now: back to the start when everything was freed. */
  memory(): { readonly tensorBytes: number; readonly cacheBytes: number };
  close(): Promise<void>;
}

export interface BenchSetting {
  readonly key: string;
  /** Used as it is: `declare` and `hooks` are called on this object. */
  readonly method: Method;
  /** Already parsed by the method's schema. */
  readonly params: object;
  /** At most one; none means everything is kept (fraction 1). */
  readonly keptFraction?: number;
  readonly tokenBudget?: number;
}

export interface BenchRequest {
  readonly contextIds: Int32Array;
  readonly questionIds: Int32Array;
  readonly settings: readonly BenchSetting[];
  readonly protocol: Protocol;
  /** Tokens to generate, always all of them: stop tokens are ignored. */
  readonly maxNewTokens: number;
  /** Fed instead of the greedy choice: step i feeds forcedTokens[i]; logits and tokenIds still say what the model would have chosen. */
  readonly forcedTokens?: Int32Array;
  readonly evidence?: readonly TokenSpan[];
  /** Position of the first token; default 0. */
  readonly firstPosition?: number;
  /** Document of each context token, -1 outside. */
  readonly segments?: Int32Array;
  /** `SequenceFacts.sampleSeed`. */
  readonly sampleSeed: number;
  /** Tokens of one prefill chunk; absent: the whole prompt at once. */
  readonly prefillChunk?: number;
  /** Each setting gets a prefill, a cache and a decode batch of its own. */
  readonly standAlone?: boolean;
  /** Amnesia: `method.hooks(setting, model)` is called anew before every single hook call, and the result thrown away after it. */
  readonly freshHooks?: boolean;
  /**
   * Poison: attention reads a copy of the cache in which keys and values of every slot outside the plan (but the new ones) are NaN,
   * and the memory of freed slots is filled with NaN before it is reused.
   */
  readonly poison?: boolean;
  /** Fill `captured` and `capturedAfter`. */
  readonly capture?: boolean;
}

export type BenchRow = { readonly key: string } & (
  | ({ readonly status: 'ok' } & BenchResult)
  | { readonly status: 'failed' | 'unsupported'; readonly error: { readonly code: string; readonly message: string } }
);

export interface BenchResult {
  readonly tokenIds: readonly number[];
  /** logits[i] (vocabSize values) chose tokenIds[i]; logits[0] is of the prompt's last token. */
  readonly logits: readonly Float32Array[];
  /** Original positions held after the prompt was fed and compressed: [layer][KV head], ascending. */
  readonly kept: readonly (readonly Int32Array[])[];
  readonly hashes: {
    /** Cache at the boundary, before `finishPrefill` (or `finishLayer`) changed it. */
    readonly prefilled: string;
    /** Cache and declared state of sequence life straight after `finishPrefill`: before the question if query-agnostic. */
    readonly compressedCache: string;
    readonly compressedState: string;
    readonly endCache: string;
    readonly endState: string;
  };
  /** As in the engine contract, plus the end of decoding. `kvCacheBytes` counts declared state. */
  readonly kvCacheBytes: number;
  readonly expectedKvCacheBytes: number;
  readonly kvCacheBytesEnd: number;
  readonly expectedKvCacheBytesEnd: number;
  /** Of these bytes, those of the declared state alone. */
  readonly stateBytes: number;
  /** Query-key pairs of the prefill, and its causal pairs (per query head and layer: sums over all of them). */
  readonly prefillPairs: number;
  readonly causalPairs: number;
  /** One entry per fed step after the boundary: the question (phase `question`), then each fed answer token. */
  readonly steps: readonly BenchStep[];
  /** Before compression, and the survivors after it. */
  readonly captured?: readonly CapturedLayer[];
  readonly capturedAfter?: readonly CapturedLayer[];
}

export interface BenchStep {
  readonly phase: 'question' | 'answer';
  readonly queryLen: number;
  /** Slots of each (layer, KV head), layer-major, when the step attended (after its own slots were written). */
  readonly slotsBefore: Int32Array;
  /** The same after `maintain`. */
  readonly slotsAfter: Int32Array;
  /** Slots read by attention per (layer, KV head), the new ones included: the length of the list that the kernel ran over. */
  readonly slotsRead: Int32Array;
  /** Bytes billed: K and V of slotsRead and what the method's ops read. */
  readonly kvBytesRead: number;
  /** Bytes between the device and the second tier, both ways. */
  readonly kvBytesMoved: number;
  readonly hostReads: number;
  /** Native calls and high-water mark of native tensor bytes during the step. */
  readonly nativeCalls: number;
  readonly tensorPeakBytes: number;
}

/** What the scorers saw at the boundary, of one layer. */
export interface CapturedLayer {
  /** f32 [numKvHeads, slots, headDim], rotated unless the layout says `pre`. */
  readonly keys: Float32Array;
  readonly values: Float32Array;
  /** i32 [numKvHeads, slots]: tokens that each slot stands for. */
  readonly counts: Int32Array;
  /** f32 [last, numQueryHeads * headDim]; absent when nobody needs window queries, and after compression. */
  readonly windowQueries?: Float32Array;
}

/** One setting of one sample, ready to take tokens. */
export interface BenchSession {
  /** Feeds T >= 1 tokens as one step and keeps the first `accept` of them (default all): the rest are rolled back before `commit` and `maintain`. */
  step(tokenIds: Int32Array, accept?: number): Promise<BenchStepResult>;
  /** Hash of the cache, and of declared state of sequence life. */
  hash(): { readonly cache: string; readonly state: string };
  slots(): Int32Array;
  bytes(): { readonly kvCacheBytes: number; readonly expectedKvCacheBytes: number };
  /** A copy that shares pages until one side writes. */
  fork(): BenchSession;
  free(): void;
}
export interface BenchStepResult {
  /** vocabSize values for each of the T tokens. */
  readonly logits: readonly Float32Array[];
  readonly step: BenchStep;
}
