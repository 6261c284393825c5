/** Parts of the method contract that surround a sample: prompts and their services, reused segments, drafts, weights, calibration, forks. */
import type { LayerShape, StepView, Tensor } from './contract.js';

export interface TextSpan {
  readonly start: number;
  readonly end: number;
}
export type PartRole = 'instruction' | 'document' | 'history' | 'question' | 'answer-prefix';
/** `tokens`: how many it takes, said by the engine where it hands parts out. */
export type Part = { readonly role: PartRole; readonly stands?: readonly TextSpan[]; readonly tokens?: number } & (
  | { readonly text: string }
  | { readonly embeddings: Tensor }
);

export interface PromptRequest {
  /** Context cut at document borders; one document when the sample has none. */
  readonly documents: readonly { readonly text: string; readonly start: number }[];
  /** Absent under the query-agnostic protocol. */
  readonly question?: string;
  readonly tokenBudget: number;
  readonly seed: number;
}
/** Parts that replace the context, in feeding order; `stands` are the context's character ranges they came from. */
export type PromptResult = ({ readonly parts: readonly Part[] } | { readonly answer: string }) & {
  /** All pieces of the context that were weighed, best first. */
  readonly ranking?: readonly (TextSpan & { readonly score: number })[];
};
export interface PromptIndex {
  readonly bytes: number;
  readonly data: unknown;
}
export interface Services {
  /** Tokens of the target model's tokenizer, no specials. */
  countTokens(text: string): number;
  /** What the target model's first layer reads for a text, f32 [tokens, hiddenSize]; absent where a backend takes token ids only. */
  inputEmbeddings?(text: string): Tensor;
  /** Rows of a method's own, [tokens * hiddenSize] values. */
  embeddingRows?(values: Float32Array): Tensor;
  bm25(texts: readonly string[]): Bm25;
  /** By the encoder among the method's `auxiliary` needs: single [D] a text, token [tokens, D]. Longer texts are cut to what it takes. */
  embed(texts: readonly string[], kind: 'single' | 'token' | 'sparse'): Promise<Float32Array[]>;
  /** By the cross-encoder among them; higher is nearer. */
  rerank(query: string, texts: readonly string[]): Promise<Float32Array>;
  /** By the token classifier among them. */
  classifyWords(text: string): Promise<WordClasses>;
}
/** Classes of the words of a text: runs without white space. */
export interface WordClasses {
  readonly labels: readonly string[];
  readonly spans: readonly TextSpan[];
  /** f32 [words, labels]: means over the word's tokens, which add up to 1; 0 for a word that the model has no token for. */
  readonly shares: Float32Array;
}
export interface Bm25 {
  readonly bytes: number;
  scores(query: string): Float64Array;
}

/** Parts, as they were handed out, read at positions from `start` on, over other jobs' tokens turned to where this one sees them. */
export interface EncodeJob {
  readonly id: string;
  readonly parts: readonly Part[];
  readonly start: number;
  readonly sees: readonly { readonly job: string; readonly start: number }[];
}
/** Where jobs come to stand, in slot order, and which of a job's tokens are read again through all layers, over all that stands before them. */
export interface AssemblePlan {
  readonly place: readonly { readonly job: string; readonly start: number }[];
  readonly recompute: readonly { readonly job: string; readonly tokens: 'all' | readonly number[] }[];
}
/**
 * A tree of drafted tokens that follow the token about to be fed: ids and parents i32 with T entries a row. A parent is an earlier
 * entry, or -1 for that token itself. Verified in one step: the longest path that the model would have chosen stays.
 */
export interface Draft {
  readonly ids: Tensor;
  readonly parents: Tensor;
  readonly keep: 'verified-path' | 'every-leaf';
}
/** The model's weights, never changed: by the engine's names, float32 whatever their storage, rotary pairs of a head as (i, i + d/2). */
export interface Checkpoint {
  readonly tensors: readonly string[];
  shape(name: string): readonly number[];
  /** A fresh copy on the host. */
  values(name: string): Float32Array;
  tensor(name: string): Tensor;
  /** A tensor of the view. */
  make(shape: readonly number[], values: Float32Array): Tensor;
}
/**
 * Another model made of the checkpoint's weights. Shapes of a layer decide those of its projections: q [Hq d, D], k [H d, D],
 * v [H dV, D], output [D, Hq dV]; what is cached (KV heads, d, dV) is the same in both phases.
 */
export interface ModelView {
  readonly prefill: readonly LayerShape[];
  /** Of one-token steps of the answer; absent: as in the prefill. */
  readonly decode?: readonly LayerShape[];
  /** f32 [layers, most query heads]: multiplies what a head gives to the output projection. */
  readonly headMask?: Tensor;
  /** Which of the checkpoint's rotary pairs each pair of a layer turns by, [ropeDims / 2]; absent: the same. */
  rotaryPairs?(layer: number): Int32Array | undefined;
  /** Asked once for each tensor and phase; undefined: as in the checkpoint. */
  tensor(name: string, phase: 'prefill' | 'decode'): Tensor | undefined;
}
export interface Calibration {
  readonly texts: readonly string[];
  readonly seed: number;
  /** Token ids of a plain text: no template, no start tokens. */
  tokens(text: string): Int32Array;
  /** A dense pass over tokens on an empty cache. Tensors made by `onLayer` live until the pass ends. */
  forward(tokenIds: Int32Array, onLayer: (view: StepView) => void): Promise<void>;
  toHost(tensor: Tensor): Float32Array | Int32Array | Uint8Array;
  /** A tensor for the profile. */
  fromHost(shape: readonly number[], values: Float32Array): Tensor;
}
/**
 * A forward pass on a copy of the cache (KVzip-like): the tokens follow the prompt, positions go on, `onLayer` sees each layer after
 * its attention with the pass's slots at the end of every head. Long inputs pass in chunks with `onLayer` calls of their own. The
 * cache and the state stay as they are; the tokens count as auxiliary. While rows are equal one copy stands for all of them.
 */
export interface Fork {
  forward(tokenIds: Int32Array, onLayer: (view: StepView) => void): Promise<void>;
}
