/** Primitives of the contract's `Ops` on parts of keys, on groups of slots and on lists. */
import type { LayerShape, Ragged, RowFacts, Scope, SlotsView, Tensor } from './contract.js';

/** Groups of a head's slots: means f32 [rows, H, clusters, d], cluster of each slot i32 [rows, H, maxLen] (-1 beyond), sizes i32 [rows, H, clusters]. */
export interface Clusters {
  readonly centroids: Tensor;
  readonly assignment: Tensor;
  readonly sizes: Tensor;
}

/** Each bills what it reads of the cache or of a plane to the rows that called it; none crosses rows. */
export interface SlotOps {
  /**
   * q.k over the listed channels of the keys only (lists per query head, KV head or layer; -1 all): the largest over the T queries (act
   * [rows, T, Hq * d]), no softmax scale. f32 [rows, S, maxLen]; bills the listed channels once a list.
   */
  channelScores(queries: Tensor, slots: SlotsView, channels: Ragged, gqa: GqaReduce): Tensor;
  /** basis . key of the last `last` slots of each head (0: of all), basis f32 [H, r, d]: f32 [rows, H, n, r], 0 beyond a head's length. */
  projectKeys(slots: SlotsView, basis: Tensor, last: number): Tensor;
  /** basis . query: act [rows, T, Hq * d] -> f32 [rows, T, Hq * r]. */
  projectQueries(queries: Tensor, basis: Tensor, shape: LayerShape): Tensor;
  /** q . entry, the largest over T, of the first `lens` [rows * H] entries of planes f32 [rows, H, capacity, w]: projected keys, centroids. f32 [rows, S, max(lens)]. */
  planeScores(queries: Tensor, plane: Tensor, lens: Int32Array, shape: LayerShape, gqa: GqaReduce): Tensor;
  /** Cosines of the keys or values of listed slots with other listed slots of their head: f32 [rows, H, left, right], -inf beyond a list. */
  pairwiseCosine(slots: SlotsView, what: 'keys' | 'values', left: Ragged, right: Ragged): Tensor;
  /** Lloyd's k-means over a head's keys or values; seeds are evenly spaced slots, or k-means++ by a hash of `seed`, layer and head. */
  kMeans(
    slots: SlotsView,
    what: 'keys' | 'values',
    how: { readonly clusters: number; readonly iterations: number; readonly seed?: number },
  ): Clusters;
  /** Mean key or value of each group of a head's slots: assignment i32 [rows, H, maxLen], a group or -1. f32 [rows, H, groups, d], 0 without members. */
  groupMeans(slots: SlotsView, what: 'keys' | 'values', assignment: Tensor, groups: number): Tensor;
  /** A field per slot and KV head of width 1 as lists of the slots in use: [rows, H, maxLen], beyond a head -inf, of i32 -1. */
  slotValues(field: Tensor, slots: SlotsView): Tensor;
}

/** On lists that end with -inf where an entry is missing; ties go to the lower index. */
export interface ListOps {
  /**
   * Row by row `yes` where the predicate (f32 or i32, one a row) is above 0, else `no`: what a host branch may not decide. [rows, S, n] of one
   * dtype; shorter lines are filled with -1 (i32) or 0.
   */
  choose(predicate: Tensor, yes: Tensor, no: Tensor): Tensor;
  /** The same for lists of one scope. */
  chooseLists(predicate: Tensor, yes: Ragged, no: Ragged): Ragged;
  /** A constant made on the host, row-major: a basis, weights, deltas. */
  constant(values: ArrayLike<number>, shape: readonly number[], dtype?: 'f32' | 'i32'): Tensor;
  /** Along the last axis; -inf stays -inf. */
  softmax(x: Tensor): Tensor;
  /** Nats, of weights over their sum, along the last axis, which is dropped; -inf weighs nothing. */
  entropy(weights: Tensor): Tensor;
  /** i32, along the last axis, which is dropped; -1 where every entry is -inf. */
  argmax(x: Tensor): Tensor;
  /** The fewest largest weights of each list (f32 [rows, S, n], >= 0) that hold `mass` of their sum, ascending; protected ones as in topK. */
  topP(
    weights: Tensor,
    mass: number,
    how: { readonly scope: Scope; readonly sinks: number; readonly recents: number },
  ): Ragged;
  /** values[row, list, index[row, list, i]]; index -1 gives -inf, of i32 values -1. */
  take(values: Tensor, index: Tensor): Tensor;
  /** The slots of each KV head that its list does not name. */
  complement(lists: Ragged, slots: SlotsView): Ragged;
  /** Tensors [rows, n], one a layer, as [rows, layers, n]; and one layer of such a stack. */
  stack(tensors: readonly Tensor[]): Tensor;
  layerOf(stacked: Tensor, index: number): Tensor;
  /** Scores [1 or rows, S, n] with -inf at every entry that the lists name. */
  without(scores: Tensor, lists: Ragged): Tensor;
  /** counts i32 [rows, ...] and a number a row. */
  plus(counts: Tensor, perRow: readonly number[]): Tensor;
}

export type Reduce = 'sum' | 'mean' | 'max' | 'var' | 'entropy' | 'argmax' | 'distance' | 'diagonal' | 'raw';
/** Query heads to KV heads: none keeps query heads; `layer` is the mean over all heads (one list for the layer). */
export type GqaReduce = 'none' | 'mean' | 'sum' | 'max' | 'layer';

/** Shared primitives; every one takes a leading rows axis and bills its bytes to the setting that called it. Ties go to the lower index. */
export interface Ops extends SlotOps, ListOps {
  /**
   * Softmax attention of window queries (act [rows, w, Hq * d], the last w slots of each head) over all slots, reduced over the
   * window, pooled along slots, reduced over query heads. f32 [rows, S, maxLen]; -inf beyond a head's length.
   */
  windowScores(
    queries: Tensor,
    slots: SlotsView,
    how: {
      readonly reduce: 'mean' | 'sum' | 'max' | 'var';
      readonly pool?: { readonly kind: 'avg' | 'max'; readonly size: number };
      readonly gqa: GqaReduce;
    },
  ): Tensor;
  /** L2 norm of each slot's key or value: f32 [rows, H, maxLen]. */
  slotNorms(slots: SlotsView, what: 'keys' | 'values'): Tensor;
  /** Uniform [0, 1) from a hash of (seed, sample seed, layer, global head, slot): f32 [rows, H, maxLen]. */
  randomScores(slots: SlotsView, rows: RowFacts, seed: number): Tensor;
  /** Page min and max of keys: f32 [rows, H, pages, 2, d]. Usually read from a `page` state field instead. */
  blockSummary(slots: SlotsView, pageSize: number): Tensor;
  /** Upper bound of q.k per page: f32 [rows, S, pages]; queries act [rows, T, Hq * d], the bound is the max over T. */
  blockScores(queries: Tensor, summary: Tensor, shape: LayerShape, gqa: GqaReduce): Tensor;
  /**
   * The `counts` largest entries of each list, ascending. counts: one number per row, or i32 [rows, S]. The first `sinks` and last
   * `recents` valid entries are taken before all others and count. `across: 'heads'`: counts is a total over the S lists of a row.
   */
  topK(
    scores: Tensor,
    counts: readonly number[] | Tensor,
    how: { readonly scope: Scope; readonly sinks: number; readonly recents: number; readonly across?: 'heads' },
  ): Ragged;
  /** First `sinks` and last `recents` slots of each head, recents chosen so that the list has `counts[row]` entries (or all slots). */
  sinkRecent(slots: SlotsView, counts: readonly number[], sinks: number): Ragged;
  /** Lists made on the host, [rows][heads] of ascending slots. Allowed at prefill boundaries only. */
  lists(values: readonly (readonly (readonly number[])[])[], scope: Scope): Ragged;
  /** -inf marks "no slot": it stays -inf under scale and add, whatever the factor. */
  scale(x: Tensor, factor: number): Tensor;
  add(x: Tensor, y: Tensor): Tensor;
  /** The larger of two score tensors of one shape, entry by entry. */
  maximum(x: Tensor, y: Tensor): Tensor;
  /** Entries [start, start + count) of each list: f32 [rows, S, n] -> [rows, S, count]. */
  sliceSlots(scores: Tensor, start: number, count: number): Tensor;
  /** [rows, S, n] -> [rows, 1, n]; the one seam that crosses heads. */
  reduceHeads(scores: Tensor, how: 'mean' | 'sum' | 'max'): Tensor;
}
