/**
 * The method contract: eight places where a method may act, and the plain data that crosses the border.
 *
 * An adapter is pure: `declare` and `hooks` are functions of the setting and the model's shape, hooks are functions of a view
 * and the declared state. It composes `Ops`; it never loads a model, reads a flag or file, touches another method, knows the
 * device or keeps anything in a closure between calls. Axis 0 of every tensor is rows (forks); ops never cross rows.
 */
import type { z } from 'zod';
import type { Ops, Reduce } from './contract-ops.js';
import type {
  AssemblePlan,
  Calibration,
  Checkpoint,
  Draft,
  EncodeJob,
  Fork,
  ModelView,
  Part,
  PromptIndex,
  PromptRequest,
  PromptResult,
  Services,
} from './contract-parts.js';

export type * from './contract-ops.js';
export type * from './contract-parts.js';

export type Scope = 'model' | 'layer' | 'kvHead' | 'queryHead';
export type Axis = 'residentBytes' | 'bytesRead' | 'promptTokens' | 'density' | 'weightBytes' | 'none';

/** A device value: its shape is host knowledge, its contents are not. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly dtype: 'f32' | 'bf16' | 'i32' | 'u8';
}

/** Lists of slots, pages or blocks: values i32 [rows, heads, maxLen] ascending, lens i32 [rows, heads]; -1 everything, 0 nothing. */
export interface Ragged {
  readonly scope: Scope;
  readonly values: Tensor;
  readonly lens: Tensor;
  readonly maxLen: number;
}

// ---------------------------------------------------------------- the method

export interface Method<P extends object = object> {
  /** The paper's name in kebab case. */
  readonly id: string;
  readonly name: string;
  readonly family:
    | 'control'
    | 'eviction'
    | 'selection'
    | 'quantisation'
    | 'merging'
    | 'sparse-prefill'
    | 'context'
    | 'conversion'
    | 'output'
    | 'composition';
  readonly source: {
    readonly title: string;
    readonly arxiv?: string;
    readonly section?: string;
    readonly url?: string;
  };
  /** What differs from the paper or its code, one sentence each. */
  readonly deviations: readonly string[];
  readonly training: 'none' | 'calibration' | 'released-weights' | 'untrained-stand-in';
  /** Strict schema; every default cites the paper. No budget inside. */
  readonly parameters: z.ZodType<P>;
  readonly budgetAxis: Axis;
  /** exact: kept = floor(f n) as a mean over evictable heads; bounded: never more, steps may be coarse; search: the engine bisects a knob (a parameter name). */
  readonly budgetControl: 'exact' | 'bounded' | { readonly search: string };
  /** Whether generated tokens count in the budget. Default: context. */
  readonly covers?: Budget['covers'];
  /** A control may see evidence and is never ranked. */
  readonly control?: boolean;
  /** Masks instead of freeing memory. */
  readonly simulated?: boolean;
  declare(setting: Setting<P>, model: ModelFacts): Declaration;
  hooks(setting: Setting<P>, model: ModelFacts): Hooks;
}

export interface Setting<P extends object = object> {
  readonly params: P;
  readonly budget: Budget;
  readonly protocol: Protocol;
  readonly profile?: Profile;
}

/** `tokens` = kept tokens per evictable KV head on average (floor(f n) or min(B, n)); `fraction` = tokens / n. For `dense` both mean everything. */
export interface Budget {
  readonly tokens: number;
  readonly fraction: number;
  readonly contextTokens: number;
  readonly covers: 'context' | 'total';
}

export type Protocol = 'query-agnostic' | 'query-aware';

/** What calibration found out. Hooks are also built without it, when only facts about the method are asked for. */
export interface Profile {
  readonly header: Readonly<Record<string, unknown>>;
  /** f32, on the device. */
  readonly tensors: Readonly<Record<string, Tensor>>;
  /** The same on the host, for decisions at boundaries. */
  values(name: string): Float32Array;
}

export interface Declaration {
  readonly needs: readonly Need[];
  readonly changesPrefill: boolean;
  readonly prefillOrder: 'any' | 'layer-major';
  readonly layout: Layout;
  readonly state: Readonly<Record<string, StateField>>;
  readonly logits: 'full' | 'partial';
  readonly hostReadsPerStep: number;
  /** Plans name what the last step read (`previous`): the engine keeps it. */
  readonly reusesPlans?: true;
  /** Conformance properties that fail by design, each with its reason. */
  readonly waives: Readonly<Partial<Record<Property, string>>>;
}

export interface Layout {
  readonly keyRope: 'pre' | 'post';
  readonly positions: Positions;
  readonly keyBasis?: string;
  readonly tier: boolean;
}
export type Positions = 'keep' | 'compact' | { readonly clampDistance: number };

/** T1–T10 and C1–C34 of the conformance suite. */
export type Property = `T${number}` | `C${number}`;

export type Need =
  /** Last queries, rotated: act [rows, last, numQueryHeads * headDim], a snapshot at each boundary. `question`: the whole question. */
  | { readonly view: 'windowQueries'; readonly last: number | 'question' }
  | { readonly view: 'queries' | 'keysPreRope' | 'hidden' | 'attentionOutput' }
  | { readonly view: 'columnStats'; readonly reduce: Reduce; readonly rows: 'all' | number; readonly scope: Scope }
  | { readonly view: 'probs' | 'lse'; readonly scope: Scope }
  | { readonly view: 'tokens' | 'embeddings' | 'layerLogits' | 'layerWeights' }
  /** Controls only. */
  | { readonly view: 'evidence' }
  | { readonly auxiliary: string };

/** State is declared here and owned by the engine: forked, stacked, compacted with its slots, rolled back and counted in bytes. */
export type StateField = { readonly dtype: Tensor['dtype']; readonly life: 'sequence' | 'step' } & (
  | {
      readonly per: 'slot';
      readonly scope: Scope;
      readonly width: number;
      readonly onMerge: 'sum' | 'max' | 'mean' | 'derive';
    }
  /** Rebuilt by the engine whenever a page's members change. */
  | {
      readonly per: 'page';
      readonly scope: 'kvHead';
      readonly width: number;
      readonly pageSize: number;
      readonly from: 'keyMinMax';
    }
  | { readonly per: Scope | 'sequence'; readonly shape: readonly number[] }
  /** Rows [rows, heads, n, width] that the method appends and replaces: clusters, graph nodes. Empty at first; heads grow alike. */
  | { readonly per: 'pool'; readonly scope: Scope; readonly width: number; maxRows(slots: number): number }
);

// ---------------------------------------------------------------- model facts

export interface ModelFacts {
  readonly id: string;
  readonly sha256: string;
  readonly family: string;
  readonly numLayers: number;
  readonly hiddenSize: number;
  readonly vocabSize: number;
  readonly maxPositions: number;
  readonly layers: readonly LayerShape[];
  /** Bytes of one cached key or value element: 2 in native numerics with bf16, else 4. */
  readonly elementBytes: number;
}

export interface LayerShape {
  readonly mixer: 'softmax' | 'recurrent' | 'none';
  readonly numQueryHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly headDimV: number;
  readonly ropeDims: number;
  /** What attention multiplies q.k with: 1 / sqrt(headDim) unless the model says otherwise. */
  readonly softmaxScale: number;
  /** Positions that a query sees, its own included. */
  readonly slidingWindow?: number;
  /** Logits are softCap * tanh(logit / softCap). */
  readonly softCap?: number;
  readonly latentRank?: number;
  /** The layer whose cache this one reads; itself unless shared. A sharing layer has no KV heads of its own (`numKvHeads` 0). */
  readonly kvSource: number;
  readonly fixedStateBytes: number;
  /** Sliding, recurrent and shared layers cannot be evicted from; budgets average over the rest. */
  readonly evictable: boolean;
}

// ---------------------------------------------------------------- views

export interface RowFacts {
  readonly count: number;
  /** Kept tokens per row, host knowledge: settings differ in budget, not in shape. */
  readonly budgets: readonly Budget[];
  readonly sequences: readonly SequenceFacts[];
}
export interface SequenceFacts {
  readonly sampleSeed: number;
  readonly length: number;
  readonly contextLength: number;
  /** Only after `needs: tokens`. */
  readonly tokenIds?: Int32Array;
  /** Document of each token, -1 outside of documents; absent where the prompt names none. */
  readonly segments?: Int32Array;
  /** Only for controls that need `evidence`: token ranges [start, end) of the context. */
  readonly evidence?: readonly TokenSpan[];
}
export interface TokenSpan {
  readonly start: number;
  readonly end: number;
}

/** The cache of one layer over all rows of a view. Opaque: ops read it. */
export interface SlotsView {
  readonly layer: number;
  readonly rows: number;
  readonly numKvHeads: number;
  /** Largest number of slots of any row and head. Shape knowledge, known on the host. */
  readonly maxLen: number;
  /** Slots per row and KV head, [rows * numKvHeads]; host-side bookkeeping, not a device read. */
  readonly lens: Int32Array;
}

export interface View {
  readonly layer: number;
  readonly shape: LayerShape;
  readonly rows: RowFacts;
  readonly state: StateView;
  readonly ops: Ops;
}
/** Declared fields of this layer, by name. An undeclared name throws. */
export interface StateView {
  read(name: string): Tensor;
  /** Fields per slot take [rows, heads, n, width] for the first n slots; a pool becomes these rows. */
  write(name: string, value: Tensor): void;
  /** [rows, heads, n, width]: the last n slots of a field per slot, or n more rows of a pool. */
  append(name: string, value: Tensor): void;
}
export type Rope = 'rotated' | 'un-rotated';

export interface ChunkView extends View {
  /** Position of the chunk's first query. */
  readonly offset: number;
  readonly queryLen: number;
  readonly past: SlotsView;
  queries(rope: Rope): Tensor;
  keys(rope: Rope): Tensor;
  values(): Tensor;
  /** Input of the layer, f32 [rows, queryLen, hiddenSize]. */
  hidden(): Tensor;
  /** In `onWrite`, which follows the chunk's attention: f32 [rows, queryLen, numQueryHeads], and act [rows, queryLen, numQueryHeads * headDimV]. */
  lse(): Tensor;
  attentionOutput(): Tensor;
}
export type Boundary = 'layer' | 'chunk' | 'context' | 'prompt' | 'turn' | 'step';
export interface CacheView extends View {
  readonly boundary: Boundary;
  readonly slots: SlotsView;
  windowQueries(): Tensor;
  /** Of the need with this number, over the prompt's queries: f32 [rows, heads of its scope, slots]. */
  columnStats(need: number): Tensor;
  /** After a step, for methods that need `probs`: f32 [rows, heads, maxLen] in slot order, of the step's last query (T may be > 1); -inf beyond a head's length. */
  probs(): Tensor;
}
export interface StepView extends View {
  readonly step: number;
  readonly phase: 'question' | 'answer';
  readonly queryLen: number;
  readonly slots: SlotsView;
  /** act [rows, queryLen, numQueryHeads * headDim]. */
  queries(rope: Rope): Tensor;
  /** Input of the layer, f32 [rows, queryLen, hiddenSize]; in layer 0 the embeddings. */
  hidden(): Tensor;
  /** i32 [rows, queryLen]: the tokens being fed. */
  tokenIds(): Tensor;
  /** After attend: f32 [rows, heads, maxLen] in slot order. */
  probs(): Tensor;
  /** After attend: f32 [rows, queryLen, numQueryHeads], natural log. */
  lse(): Tensor;
}

/** After the last layer of a step, whose layer this is. */
export interface OutputView extends StepView {
  /** With `needs: tokens`: prompt and answer so far; before a step the last token is the one about to be fed. */
  tokens(row: number): Int32Array;
  /** f32 [rows, vocabSize] of the twin rows made from `companions()[index]`, which are fed the row's own tokens. */
  companionLogits(index: number): Tensor;
}

// ---------------------------------------------------------------- plans and actions

/**
 * One union for prefill chunks and steps: a step is a chunk of T >= 1 queries. `tokens`, and in steps `blocks`, bring the T new slots along
 * causally, unless their list has length 0; every other set says exactly what is read. Lists of slots ascend.
 */
export type KeySet =
  | { readonly kind: 'all' }
  | { readonly kind: 'none' }
  /** What this part of the layer read in the last step (everything before the first), and with plusNew all slots that came since. */
  | { readonly kind: 'previous'; readonly plusNew: boolean }
  /** What the same part of an earlier layer reads in this step. */
  | { readonly kind: 'fromLayer'; readonly layer: number }
  /** The first `sinkTokens` slots and the last `recentTokens` up to and including the query's own. */
  | { readonly kind: 'window'; readonly sinkTokens: number; readonly recentTokens: number }
  /** values [rows, heads, maxLen]: one list for all queries; [rows, heads, blocks, maxLen]: one for each queryBlock queries of the chunk. */
  | { readonly kind: 'blocks'; readonly queryBlock: number; readonly keyBlock: number; readonly lists: Ragged }
  /** Columns are slots, diagonals distances from the query's own slot. */
  | { readonly kind: 'vertical-slash'; readonly columns: Ragged; readonly diagonals: Ragged }
  | { readonly kind: 'tokens'; readonly indices: Ragged }
  /** Listed queries of the chunk read the listed slots; the others give 0. */
  | { readonly kind: 'gather'; readonly queries: Ragged; readonly keys: Ragged }
  /** Synthetic keys and values f32 [rows, numKvHeads, n, d], seen by every query. */
  | { readonly kind: 'rows'; readonly keys: Tensor; readonly values: Tensor }
  | { readonly kind: 'union'; readonly of: readonly KeySet[] };

/** Parts of one softmax are disjoint: where a slot may be in two, one `union` counts it once. */
export interface AttentionPart {
  readonly keys: KeySet;
  /** Query heads; absent: all. Heads of no part give 0. */
  readonly heads?: readonly number[];
  /** Default: the layout's. `compact` needs one set for all queries of a step. */
  readonly positions?: Positions;
  /** f32 nats added to logits [rows, 1, numKvHeads or numQueryHeads, n]: by entry for `tokens` and `rows`, else by slot. */
  readonly bias?: Tensor;
  /** tier: its slots lie there and stay; queries go out, outputs and log-sums come back. Needs another part for the step's own slots. */
  readonly at?: 'device' | 'tier';
  /** segments: documents of the prompt do not see each other. Default: causal. */
  readonly visible?: 'causal' | 'segments' | 'bidirectional';
}
export interface AttentionPlan {
  readonly parts: readonly AttentionPart[];
  /** gates f32 [rows, T, numQueryHeads, parts]: every part has its own softmax. */
  readonly mix: 'one-softmax' | { readonly gates: Tensor };
  /** f32 [rows, T, numQueryHeads]: on queries before, on outputs after attention. */
  readonly queryScale?: Tensor;
  readonly headGain?: Tensor;
}
export interface TokenPlan {
  readonly run: Ragged;
  readonly cached: 'run' | 'all';
  readonly forget: boolean;
}

/** Applied per layer in the order given; heads not named stay as they are. */
export type CacheAction =
  | { readonly kind: 'keep'; readonly slots: Ragged }
  | {
      readonly kind: 'quantise';
      readonly what: 'keys' | 'values';
      /** Slots [0, upTo) of every head, rounded down to whole pages of 64. */
      readonly upTo: number;
      /** Never the last `leaveLast` slots of a head, counted per row and head when the action is applied (after a `keep` before it). */
      readonly leaveLast?: number;
      readonly bits: 2 | 4 | 8;
      readonly group: number;
      readonly along: 'channel' | 'token';
      readonly codebook?: Tensor;
      readonly outlierFraction?: number;
    }
  /** Synthetic slots f32 [rows, H, n, d]; the other tensors [rows, H, n]. A negative count: no slot in that head. */
  | {
      readonly kind: 'append';
      readonly keys: Tensor;
      readonly values: Tensor;
      readonly positions: Tensor;
      readonly counts: Tensor;
      readonly bias: Tensor;
    }
  /**
   * Entry i brings slot from[i] with weight[i] to slot into[i] of its head; `from` may repeat. A target weighs its count in a mean.
   * `direction`: mean of norms times mean direction. Weight 0 or into -1: dropped. Counts add up; sources stay until a `keep`.
   */
  | {
      readonly kind: 'merge';
      readonly from: Ragged;
      readonly into: Tensor;
      readonly weight: Tensor;
      readonly keys: 'none' | 'mean' | 'direction';
      readonly values: 'mean' | 'add';
      readonly bias: 'none' | 'log-count';
    }
  /** Moves slots by delta positions, i32 as the lists, and turns their keys along. */
  | { readonly kind: 'rotate'; readonly slots: Ragged; readonly delta: Tensor }
  | {
      readonly kind: 'channels';
      /** Channels of the keys that stay stored; the others read 0. */
      readonly keep: Ragged;
      /** Slots [0, upTo) of every head, all if absent, never the last `leaveLast`, rounded down to whole pages of 64. */
      readonly upTo?: number;
      readonly leaveLast?: number;
    }
  | {
      readonly kind: 'move';
      readonly what: 'keys' | 'values' | 'both';
      readonly channels?: Ragged;
      readonly slots: Ragged;
      readonly to: 'device' | 'tier';
    };

/** What to do with one layer; axis 0 of every tensor inside is the rows of the view. */
export interface LayerActions {
  readonly layer: number;
  readonly actions: readonly CacheAction[];
}
export type CachePlan = readonly LayerActions[];

// ---------------------------------------------------------------- composition parts

/** Scores slots; higher stays. Computed once per sample and parameters, shared by all budgets unless `seesBudget`. */
export interface Scorer {
  readonly comparable: 'head' | 'layer' | 'model';
  readonly seesBudget: boolean;
  /** f32 [rows, numKvHeads or 1, maxLen]. */
  score(view: CacheView): Tensor;
}
/** i32 [rows, layers, heads]; the sum over evictable heads is exact. */
export interface Allocator {
  readonly requires: Scorer['comparable'];
  allocate(scores: readonly Tensor[], views: readonly CacheView[]): Tensor;
}

// ---------------------------------------------------------------- hooks

export interface Hooks {
  /**
   * Once per setting and sample, before any other hook: throws ERR_UNSUPPORTED where this setting cannot serve this sample.
   * `sequence.length` is the length at the boundary: the context, or under the query-aware protocol the whole prompt.
   */
  admit?(sequence: SequenceFacts): void;
  readonly prompt?: {
    index?(documents: PromptRequest['documents'], use: Services): Promise<PromptIndex>;
    observe?(turn: string, index: PromptIndex | undefined, use: Services): Promise<PromptIndex>;
    build(request: PromptRequest, index: PromptIndex | undefined, use: Services): Promise<PromptResult>;
  };
  readonly assemble?: {
    encode(parts: readonly Part[]): EncodeJob[];
    place(jobs: readonly EncodeJob[]): AssemblePlan;
    recompute?(view: ChunkView): TokenPlan;
  };
  weights?(checkpoint: Checkpoint): ModelView;
  calibrate?(run: Calibration): Promise<Pick<Profile, 'header' | 'tensors'>>;
  readonly prefill?: {
    tokens?(view: ChunkView, at: 'layer' | 'attention' | 'ffn'): TokenPlan;
    plan?(view: ChunkView): AttentionPlan;
  };
  readonly cache?: {
    onWrite?(view: ChunkView): void;
    /** After a layer's prefill. From a shared dense prefill it runs afterwards with the same result. */
    finishLayer?(view: CacheView): LayerActions;
    /** After a chunk (only with changesPrefill) and after every step; all layers at once. */
    maintain?(views: readonly CacheView[]): CachePlan;
    /** Boundary `context` (query-agnostic), `prompt` (query-aware) or `turn`; all layers at once. */
    finishPrefill?(views: readonly CacheView[], fork: Fork): CachePlan | Promise<CachePlan>;
  };
  readonly decode?: {
    /** Before layer 0; a set for all layers. */
    beginStep?(view: StepView): AttentionPlan;
    select?(view: StepView): AttentionPlan;
    /** At once; may write only `life: 'step'` fields. */
    afterAttend?(view: StepView): void;
    /** After verification, accepted queries only; alone writes `life: 'sequence'` fields. */
    commit?(view: StepView): void;
  };
  readonly output?: {
    /** Other prompts for the same answer, read by twin rows whose bytes count. */
    companions?(parts: readonly Part[]): Part[][];
    head?(hidden: Tensor, view: OutputView): { ids: Ragged; logits: Tensor };
    /** f32 [rows, vocabSize] in and out. */
    logits?(logits: Tensor, view: OutputView): Tensor;
    /** Before a step; `ops.lists` may build the tree. */
    draft?(view: OutputView): Draft;
    /** After a step: f32 [rows, accepted tokens, vocabSize] as the model gave them. */
    accepted?(logits: Tensor, view: OutputView): void;
  };
}

/** Keeps the parameter type of an adapter while it is listed beside others. */
export const defineMethod = <P extends object>(method: Method<P>): Method<P> => method;
