/**
 * The binding contract: every function of the native addon, with its shapes. C++ and TypeScript are reviewed against this file.
 *
 * Tensors live on the native side and are named here by a small integer (`TensorId`); the native side knows each one's
 * dtype and shape and checks them, so a wrong call is a typed error (`ERR_SHAPE`, with both values) and never a wild read.
 * Arguments are positional numbers because a property read through N-API costs more than a small op.
 * 0 is never a valid id and means "not given". All functions are synchronous and must be called from one thread at a time.
 *
 * Words: `act` is the activation dtype of the context (`bf16` in native numerics where the instruction set has bf16
 * products, else `f32`); `T` query tokens of one row; `rows` sequences (forks); `Hq`, `H` query and KV heads of a layer;
 * `d` head dim; `n` slots. KV head of query head h is floor(h / (Hq / H)). RoPE pairs are (i, i + ropeDims / 2).
 * In `reference` numerics every op gives the same bits on every instruction set, thread count and row count; in `native`
 * numerics a row's bits depend neither on the other rows nor on the thread count.
 */

export type TensorId = number;
export type WeightId = number;
export type CacheId = number;
export type LayoutId = number;

export type DType = 'f32' | 'bf16' | 'i32' | 'u8';
export type Isa = 'amx' | 'avx512bf16' | 'avx512' | 'avx2' | 'scalar';
export type Numerics = 'native' | 'reference';

/**
 * Storage type of a checkpoint matrix, by GGUF name (safetensors F32, F16, BF16 use the same words). Rows are a multiple of 32
 * values in the Q*_0, Q*_1 and IQ4_NL types, of 256 in the K types.
 */
export type WeightType =
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'Q8_0'
  | 'Q4_0'
  | 'Q4_1'
  | 'Q5_0'
  | 'Q5_1'
  | 'IQ4_NL'
  | 'Q4_K'
  | 'Q5_K'
  | 'Q6_K';

/** One source of a packed matrix: `rows` x `cols` row-major values of `type` at `byteOffset` of `bytes`. */
export interface WeightSource {
  bytes: Uint8Array;
  byteOffset: number;
  type: WeightType;
  rows: number;
  cols: number;
  /** Heads whose rows are stored with interleaved RoPE pairs (GGUF llama Q and K); rows are re-ordered to (i, i + d/2). 0: none. */
  interleavedHeads: number;
}

export interface CpuFacts {
  /** Instruction sets this machine can run, best first; `scalar` is always last. */
  isas: Isa[];
  model: string;
  cores: number;
}

export interface MemoryFacts {
  tensorBytes: number;
  tensorPeakBytes: number;
  weightBytes: number;
  /** Bytes of KV pages in use, shared pages counted once. */
  cacheBytes: number;
}

/** A device that is not the host, and what stands between it and us. */
export interface DeviceFacts {
  name: string;
  /** Compute capability as compilers write it: `sm_90`; of the build without a device: `host`. */
  architecture: string;
  /** Versions as the driver and the runtime tell them, such as `13.0`; empty where there is none. */
  driver: string;
  runtime: string;
  memoryBytes: number;
  l2Bytes: number;
  multiprocessors: number;
}

/** What the device's own counters say at a moment; a value that they do not give is absent. */
export interface DeviceState {
  smClockMhz?: number;
  memoryClockMhz?: number;
  temperatureCelsius?: number;
  powerWatts?: number;
}

/** Since the last `resetDeviceMeters`. */
export interface DeviceMeters {
  /** Bytes of weights, tensors, workspaces and KV pages held at once, at most. */
  peakBytes: number;
  /** Held now. */
  bytes: number;
  /** Times the host waited for values of the device: downloads and whatever reads lens or positions back. */
  hostReads: number;
  /** Parts of decode steps that went as one graph (`stepGraphs`). */
  graphLaunches: number;
}

export interface Addon {
  cpuFacts(): CpuFacts;
  /** Chooses instruction set, numerics and threads for everything that follows; returns the activation dtype. */
  configure(isa: Isa, numerics: Numerics, threads: number): 'f32' | 'bf16';
  memory(): MemoryFacts;
  /** Total time spent inside addon calls so far, for the meter of engine time outside native ops. */
  nativeNanoseconds(): number;

  // ---- of a device; absent where ops run on the host and are done when they return ----
  deviceFacts?(): DeviceFacts;
  deviceState?(): DeviceState;
  deviceMeters?(): DeviceMeters;
  /**
   * Ops of a decode step behind those that read so many MB of weights go as one graph where they come again with the same arguments; -1:
   * all go one by one. Until it is called, WINNOW_CUDA_GRAPHS says the number, or `off`; else it is 3072.
   */
  stepGraphs?(megabytes: number): void;
  resetDeviceMeters?(): void;
  /** Waits until everything asked for so far is done: before every reading of a clock. */
  synchronise?(): void;
  /** Of the host build of cuda alone: whether the ops that take a step's time are left out, so that what remains is the host's own work. */
  leaveOutOps?(on: 0 | 1): void;
  /** GB/s read plus written by copies on the device, the best of a few: the yardstick of decode steps. */
  deviceCopyBandwidth?(): number;

  // ---- tensors (row-major, 64-byte aligned, zero-filled) ----
  tensor(dtype: DType, shape: number[]): TensorId;
  /** The same, of 1 to 3 dimensions, for one that an op or an upload writes whole: it holds anything until then. Absent where zeros cost nothing. */
  emptyTensor?(dtype: 'f32' | 'i32', shape: Int32Array): TensorId;
  /** Rows [start, start + count) of axis 0, sharing storage. Freed like any tensor. */
  slice(t: TensorId, start: number, count: number): TensorId;
  /** The same storage under another shape of equal size. */
  reshape(t: TensorId, shape: number[]): TensorId;
  shape(t: TensorId): number[];
  free(t: TensorId): void;
  /** Tensors made between open and close are freed at close, except those given to `keep`. Scopes nest. */
  openScope(): number;
  closeScope(scope: number): void;
  keep(t: TensorId): void;
  /** Copies host values in; `data` must have the tensor's size. bf16 takes Float32Array (rounded to nearest even) or Uint16Array. */
  upload(t: TensorId, data: Float32Array | Int32Array | Uint8Array | Uint16Array): void;
  /** Copies out; bf16 becomes Float32Array. */
  download(t: TensorId): Float32Array | Int32Array | Uint8Array;

  /** Copies `count` rows of axis 0 between tensors of equal row size, converting f32 and bf16. */
  copyRows(src: TensorId, srcRow: number, dst: TensorId, dstRow: number, count: number): void;

  // ---- weights ----
  /**
   * Packs matrices that share `cols` into one, stacked along rows (q, k, v or gate, up). With `interleave` > 0 two sources of
   * equal size are woven in groups of that many rows, so that gate and up of one unit sit in one panel.
   * Packed once, in parallel; block types stay in their bits (K types: six-bit scales become bytes, an eighth of a bit a weight).
   */
  packWeight(sources: WeightSource[], interleave: number): WeightId;
  /** A vector (norm gain, bias) as f32. */
  packVector(bytes: Uint8Array, byteOffset: number, type: WeightType, length: number): TensorId;
  /** A matrix of bf16 values `deviation` times standard normal, by (seed, place); fits `linearGated` where rows are a multiple of 64. */
  randomWeight?(rows: number, cols: number, seed: number, deviation: number): WeightId;
  freeWeight(w: WeightId): void;
  weightShape(w: WeightId): [rows: number, cols: number];

  // ---- dense ops ----
  /** out[t] = scale * weight[ids[t]]; ids i32 [T], out f32 [T, cols]. */
  embed(weight: WeightId, ids: TensorId, scale: number, out: TensorId): void;
  /** out = x * rsqrt(mean(x^2) + eps) * (gain + gainOffset); x f32 [T, D], out act or f32 [T, D]. */
  rmsNorm(x: TensorId, gain: TensorId, eps: number, gainOffset: number, out: TensorId): void;
  /** out += x * rsqrt(mean(x^2) + eps) * gain; x, out f32 [T, D], distinct: what a norm behind a layer's part adds. */
  rmsNormAdd(x: TensorId, gain: TensorId, eps: number, out: TensorId): void;
  /** x = cap * tanh(x / cap) in place; x f32 of any shape, cap > 0. */
  softCap(x: TensorId, cap: number): void;
  /**
   * out (+)= x . weight^T (+ bias); x act or f32 [T, cols], out f32 or act [T, rows]; accumulate only into f32. bias f32 [rows] or 0.
   * step 1: x holds tokens of a decode step; with bf16 activations such products keep block weights exact (scales come in
   * once per block) and are read at memory speed. A token's bits depend on step, never on what it shares the call with.
   */
  linear(x: TensorId, weight: WeightId, bias: TensorId, accumulate: 0 | 1, out: TensorId, step?: 0 | 1): void;
  /**
   * out[t, i] = act(gate) * up of x . weight^T in one pass: the bits of `linear` into f32, then `gatedActivation`, without the
   * wide intermediate. weight: gate and up packed with interleave 32 (its `linear` columns are woven the same way). out act or f32 [T, F].
   */
  linearGated(x: TensorId, weight: WeightId, kind: 0 | 1, out: TensorId, step?: 0 | 1): void;
  /** out[t, i] = act(gate) * up, where gateUp f32 or act [T, 2F] is gate then up; kind 0 SiLU, 1 GELU (tanh). out act [T, F]. */
  gatedActivation(gateUp: TensorId, kind: 0 | 1, out: TensorId): void;
  /**
   * Rotary embedding of q and k inside a fused projection, then append of k and v to the caches.
   * qkv f32 or act [rows * T, (Hq + 2 H) * d]; positions i32 [rows * T]; cosSin f32 [maxPositions, ropeDims] (cos half, sin half);
   * qOut act [rows * T, Hq * d], rotated; preRopeKeys 1 stores keys un-rotated. qNorm, kNorm: f32 [d] gains of QK-norm or 0 (eps used).
   * Every row's cache grows by T slots in this layer, with these positions, count 1, bias 0; H may be 0: then q alone is rotated.
   */
  ropeAppend(
    qkv: TensorId,
    positions: TensorId,
    cosSin: TensorId,
    numQueryHeads: number,
    caches: Int32Array,
    layer: number,
    preRopeKeys: 0 | 1,
    qNorm: TensorId,
    kNorm: TensorId,
    eps: number,
    qOut: TensorId,
  ): void;
  /** Index of the largest value of each row (ties: lowest); logits f32 [rows, V], out i32 [rows]. */
  argmax(logits: TensorId, out: TensorId): void;

  // ---- the KV cache: ragged per (layer, KV head), paged, copy-on-write ----
  /** Geometry of all caches of a model: per layer KV heads (0: a layer without attention), key dim, value dim. Pages hold 64 slots. */
  cacheLayout(numKvHeads: Int32Array, headDim: Int32Array, headDimV: Int32Array): LayoutId;
  cacheCreate(layout: LayoutId): CacheId;
  /** A copy that shares pages until one side writes. O(pages). */
  cacheFork(cache: CacheId): CacheId;
  /** A copy in pages of its own, codes and all: for measurements in which every row has to be read from memory. ERR_OUT_OF_MEMORY leaves nothing behind. */
  cacheCopy(cache: CacheId): CacheId;
  cacheFree(cache: CacheId): void;
  /** Gives back memory of pages that no cache holds, where pools keep it for the next. */
  cacheTrim?(): void;
  /** Slots per (layer, KV head), layer-major: Int32Array [sum of numKvHeads]. */
  cacheLens(cache: CacheId): Int32Array;
  /** Keeps the listed slots of each KV head of a layer, frees the rest. slots i32 [H, maxLen] ascending, lens i32 [H] (-1: all).
   * Slots of quantised pages that move come back as elements; whole pages that stay in place keep their codes. */
  cacheKeep(cache: CacheId, layer: number, slots: TensorId, lens: TensorId): void;
  /** The same of several caches, each once: slots i32 [rows, H or 1, maxLen], lens i32 [rows, H or 1]; one list stands for all heads. */
  cacheKeepRows(caches: Int32Array, layer: number, slots: TensorId, lens: TensorId): void;
  /** Drops the last `count` slots of every head of every layer (rejected drafts, rollback). */
  cacheDropLast(cache: CacheId, count: number): void;
  /**
   * Gives back the leading whole pages of a layer whose positions all lie below `before`, for layers that slide. Their slots stay in the
   * numbering; they read as zeros at position 0 and count no bytes. Attention with a window must not reach back to them.
   */
  cacheRelease(cache: CacheId, layer: number, before: number): void;
  /** Original positions of a head's slots. */
  cachePositions(cache: CacheId, layer: number, kvHead: number): Int32Array;
  /** Keys (what 0), values (1) of a layer as f32 [H, maxLen, d], missing slots 0; bias (2) as [H, maxLen]; counts (3) i32 [H, maxLen]. */
  cacheRead(cache: CacheId, layer: number, what: 0 | 1 | 2 | 3): TensorId;
  /**
   * Appends slots made elsewhere: keys, values f32 [H, T, d]; positions i32 [H, T]; counts i32 [H, T] (negative: no slot in this
   * head); bias f32 [H, T]. `before`: they come before the last so many slots of each head (absent: at the end).
   */
  cacheAppend(
    cache: CacheId,
    layer: number,
    keys: TensorId,
    values: TensorId,
    positions: TensorId,
    counts: TensorId,
    bias: TensorId,
    before?: number,
  ): void;
  /**
   * Merges slots into others of their head: entry i of a head brings slot from[i] with weight[i] to slot into[i]. from, into i32 [H, M],
   * from not descending, may repeat; lens i32 [H]; weight f32 [H, M], 0 or into -1 = dropped. A target weighs its count.
   * keys 0 stay, 1 weighted mean, 2 mean norm times mean direction; values 0 weighted mean, 1 target + sum of weight x value;
   * counts add up (a source's to its first entry; the source's becomes 0); bias 0 stays, 1 ln(count). Sources stay until `cacheKeep`.
   */
  cacheMerge(
    cache: CacheId,
    layer: number,
    from: TensorId,
    lens: TensorId,
    into: TensorId,
    weight: TensorId,
    keys: 0 | 1 | 2,
    values: 0 | 1,
    bias: 0 | 1,
  ): void;
  /**
   * Moves slots by delta positions (slots i32 [H, M] ascending, lens i32 [H], -1 all; delta i32 [H, M]) and turns their keys by the angles
   * of row |delta| of cosSin f32 [maxPositions, ropeDims], over its position-0 cosine; 0: positions only. Quantised pages come back as elements.
   */
  cacheRotate(cache: CacheId, layer: number, slots: TensorId, lens: TensorId, delta: TensorId, cosSin: TensorId): void;
  /**
   * Stores only the listed key channels (i32 [H, M] ascending; lens i32 [H], -1 leaves a head alone) of the whole pages of slots [0, upTo);
   * reads give 0 for the others. Pages packed already are left alone. Bytes: kept channels x element bytes, and one byte a page and channel.
   */
  cacheKeepChannels(cache: CacheId, layer: number, upTo: number, channels: TensorId, lens: TensorId): void;
  /**
   * Stores keys (0) or values (1) of slots [0, upTo) of every head of a layer in `bits` (8, 4, 2) with scale and minimum in f16 per
   * group: along 0 = per channel over `group` consecutive slots (64 % group = 0), 1 = per token over `group` channels.
   * upTo is rounded down to whole pages; pages already quantised are left alone. Reads of the cache see the dequantised values.
   */
  cacheQuantise(
    cache: CacheId,
    layer: number,
    what: 0 | 1,
    upTo: number,
    bits: number,
    group: number,
    along: 0 | 1,
  ): void;
  /** Resident KV bytes of this cache as if it stood alone: slots x width x element bytes, quantised groups by their codes, scales and minima. */
  cacheBytes(cache: CacheId): number;
  /** Bytes of K and V that a read of all slots of one layer costs, per KV head: Float64Array [H]. */
  cacheReadBytes(cache: CacheId, layer: number): Float64Array;
  /** 64-bit hash (hex) over lens, keys, values, positions, counts, bias: for isolation tests. */
  cacheHash(cache: CacheId): string;

  // ---- for tests ----
  /** NaN into keys and values of every slot of a layer that is not listed (slots i32 [H, maxLen] ascending, lens i32 [H]). */
  cachePoison(cache: CacheId, layer: number, slots: TensorId, lens: TensorId): void;
  /** While 1, freed pages are filled with NaN before they are reused. */
  poisonFreedPages(on: 0 | 1): void;

  // ---- attention ----
  /**
   * Attention of T new queries of one row over its cache, after they were appended: query t sees slots [0, n - T + t] of each head,
   * narrowed by a plan. q act [T, Hq * d]; out act [T, Hq * d]; lse f32 [T, Hq] (natural log) or 0.
   * windows i32 [Hq, 2] (sinkSlots, recentSlots; -1 = everything) or 0. softCap 0 = none. slidingWindow in positions, 0 = none.
   */
  attendPrefill(
    q: TensorId,
    cache: CacheId,
    layer: number,
    softmaxScale: number,
    softCap: number,
    slidingWindow: number,
    windows: TensorId,
    out: TensorId,
    lse: TensorId,
  ): void;
  /**
   * Attention of T >= 1 new queries of each of `rows` caches (q act [rows * T, Hq * d]), for decode steps and question tokens.
   * scope: 0 all slots; 1 one list per row; 2 per KV head; 3 per query head. indices i32 [rows, S, maxLen] ascending, with S = 1, H, Hq;
   * lens i32 [rows, S], -1 = all slots, 0 = nothing, not even the new slots (out 0, lse -inf). pageSize 0: indices are slots; > 0: pages of that many slots.
   * The T new slots (the last T) are always visible causally, listed or not. Per-slot bias of the cache is added to the logits.
   * probs f32 [rows, Hq, maxSlots] for T = 1, in slot order, 0 where not read, -inf beyond a head's length; or 0. lse f32 [rows * T, Hq] or 0.
   */
  attendDecode(
    q: TensorId,
    caches: Int32Array,
    layer: number,
    queryLen: number,
    softmaxScale: number,
    softCap: number,
    slidingWindow: number,
    scope: 0 | 1 | 2 | 3,
    indices: TensorId,
    lens: TensorId,
    pageSize: number,
    out: TensorId,
    lse: TensorId,
    probs: TensorId,
  ): void;
  /**
   * Attention of T >= 1 new queries of each row over a union of key sets; the union counts a slot once. Returns the query-key pairs.
   * sets: ten numbers each: kind (0 all, 1 window, 2 slots, 3 pages, 4 vertical-slash), values, lens (tensor ids of i32
   * [rows, L, (B,) maxLen] and [rows, L, (B)]; L = 1, H or Hq; -1 all, 0 nothing), withNew (1 adds the T new slots unless the list has
   * length 0), pageSize, queryBlock (B lists, one for each block of that many queries; 0: one for all), sink, recent, diagonals, their lens.
   * heads: query heads that attend, empty = all; the others give out 0 and lse -inf.
   * how: visible (0 causal, 1 bidirectional, 2 tree, 3 segments, 4 every slot: the queries have none of their own), parents i32 [rows * T]
   * or segments i32 by position, oldOnly (1 leaves the new slots out), queries and lens (i32 lists of the tokens that attend, or 0), bias
   * (f32 nats [rows, 1 | H | Hq, slots], or 0), biasByEntry (1: by entry of the one list), positions (0 keep, 1 compact, 2 clamp), clamp,
   * cosSin (or 0), keysRotated (0: the cache holds keys before RoPE).
   * out act or f32 [rows * T, Hq * dV]; lse f32 [rows * T, Hq]; counts i32 [rows, H] entries read, once per list; seen u8 [rows, H, n]; or 0.
   */
  attendSets(
    q: TensorId,
    caches: Int32Array,
    layer: number,
    queryLen: number,
    softmaxScale: number,
    softCap: number,
    slidingWindow: number,
    sets: Int32Array,
    heads: Int32Array,
    how: Int32Array,
    out: TensorId,
    lse: TensorId,
    counts: TensorId,
    seen: TensorId,
  ): number;
  /** Merges partial attentions over disjoint sets: outs f32 [P, T, Hq, d], lses f32 [P, T, Hq] -> out f32 [T, Hq, d], lse f32 [T, Hq]. */
  mergeLse(outs: TensorId, lses: TensorId, out: TensorId, lse: TensorId): void;

  /** out = x * factor by token and query head: x, out f32 or act [N, Hq * d], factor f32 [..., Hq] of N * Hq values. */
  scaleRows(x: TensorId, factor: TensorId, out: TensorId): void;
  /** Parts with a softmax each, mixed: outs f32 [P, N, Hq, d], gates f32 [..., Hq, P] of N * Hq * P values -> out f32 [N, Hq, d]. */
  mixParts(outs: TensorId, gates: TensorId, out: TensorId): void;
  /** Row r of `yes` where predicate[r] > 0, else of `no`: [rows, lists, n] of one dtype; shorter lines are filled with -1 (i32) or 0. */
  chooseRows(predicate: TensorId, yes: TensorId, no: TensorId): TensorId;
  /**
   * Adds the attention of a prefill chunk to statistics of each key column, in blocks of 64 queries aligned to slot 0, so that chunk borders
   * change no bit. q act [T, Hq * d]; lse f32 [T, Hq] of that attention; queries before slot firstRow are left out.
   * reduce 0 sum, 1 mean, 2 max, 3 variance, 4 entropy (sum of -p ln p); state f32 [4 for the variance, else 2, Hq, n], zero at first.
   */
  columnStats(
    q: TensorId,
    cache: CacheId,
    layer: number,
    softmaxScale: number,
    softCap: number,
    slidingWindow: number,
    lse: TensorId,
    firstRow: number,
    reduce: 0 | 1 | 2 | 3 | 4,
    state: TensorId,
  ): void;
  /** The statistics of a state over queries [firstRow, rows): f32 [1, Hq, n]. */
  finishColumnStats(state: TensorId, reduce: 0 | 1 | 2 | 3 | 4, firstRow: number, rows: number): TensorId;

  // ---- scores: all return f32 and cross neither rows nor (unless said) heads ----
  /**
   * Softmax attention of the last w queries (q act [rows, w, Hq * d]; query j sits at slot n - w + j, causal inside the window; softCap and
   * slidingWindow as in attention, 0 = none), reduced
   * over the window (0 mean, 1 sum, 2 max, 3 variance as torch.var), pooled along slots (poolKind 0 none, 1 avg, 2 max; odd poolSize, stride 1,
   * zero padding counted as in torch avg_pool1d), then over query heads (gqa 0 none -> S = Hq, 1 mean, 2 sum, 3 max -> S = H,
   * 4 mean over all heads -> S = 1). out [rows, S, maxLen], -inf beyond a head's length.
   */
  windowScores(
    q: TensorId,
    caches: Int32Array,
    layer: number,
    softmaxScale: number,
    softCap: number,
    slidingWindow: number,
    reduce: 0 | 1 | 2 | 3,
    poolKind: 0 | 1 | 2,
    poolSize: number,
    gqa: 0 | 1 | 2 | 3 | 4,
  ): TensorId;
  /** L2 norms of keys (0) or values (1): [rows, H, maxLen], -inf beyond. */
  slotNorms(caches: Int32Array, layer: number, what: 0 | 1): TensorId;
  /**
   * Channel-wise min and max of keys per page of `pageSize` slots: [rows, H, pages, 2, d]; only pages >= fromPage are recomputed into `out`
   * when given, up to its capacity. A page without members gets min +inf and max -inf; `blockScores` then gives it -inf.
   */
  blockSummary(caches: Int32Array, layer: number, pageSize: number, fromPage: number, out: TensorId): TensorId;
  /** Upper bound of q.k in each page: sum_c max(q_c min_c, q_c max_c); q f32 or act [rows * T, Hq * d], the bound is the max over T; gqa 0 none, 1 mean, 2 sum, 3 max, 4 mean of all. [rows, S, pages]. */
  blockScores(q: TensorId, summary: TensorId, numQueryHeads: number, gqa: 0 | 1 | 2 | 3 | 4): TensorId;
  /** Uniform scores in [0, 1) from a counter-based hash of (seed, layer, head, slot): [rows, H, n]. Equal for every row. */
  randomScores(rows: number, numKvHeads: number, length: number, seed: number, layer: number): TensorId;
  /**
   * Largest `counts` entries of each list, ascending indices; ties to the lower index; entries of -inf are never taken.
   * scores f32 [R, S, n]; counts i32 [R, S] (a tensor, or where they stand on the host), or [R] with flatten 1 (one budget over all S lists of a row) or 2 (R = layers, one budget [1] over everything).
   * The first protectFirst and last protectLast valid entries of each list are taken before all others and count (a budget that
   * does not cover them: the first ones in order, then the last ones from the end).
   * Returns [indices i32 [R, S, maxLen] padded with -1, lens i32 [R, S]].
   */
  topK(
    scores: TensorId,
    counts: TensorId | Int32Array,
    protectFirst: number,
    protectLast: number,
    flatten: 0 | 1 | 2,
  ): [indices: TensorId, lens: TensorId];
  /** What is known of lists without waiting for a device: their entries and the last of them (-1: not known), pairs by list; or nothing. */
  listEnds?(values: TensorId): Int32Array | undefined;
  /** a * x + b * y elementwise (y may be 0). Where x or y is -inf the result is -inf, whatever the factors: -inf marks "no slot". */
  axpby(x: TensorId, a: number, y: TensorId, b: number): TensorId;
  /** Reduces axis 1 of [R, S, n] to [R, 1, n]: 0 mean, 1 sum, 2 max. */
  reduceHeads(scores: TensorId, how: 0 | 1 | 2): TensorId;

  /**
   * q.k over some channels: max over T of sum of q[c] k[c] (q act or f32 [rows, T, Hq * d]; channels i32 [rows, 1, H or Hq, M] ascending,
   * lens i32, -1 all), reduced over query heads as in windowScores. [rows, S, maxLen], -inf beyond a head's length.
   */
  channelScores(
    q: TensorId,
    caches: Int32Array,
    layer: number,
    channels: TensorId,
    lens: TensorId,
    gqa: 0 | 1 | 2 | 3 | 4,
  ): TensorId;
  /** max over T of q . plane: q act or f32 [rows, T, Hq * w], plane f32 [rows, H, capacity, w] with used[row * H + h] entries. [rows, S, max(used)]. */
  planeScores(q: TensorId, plane: TensorId, used: Int32Array, numQueryHeads: number, gqa: 0 | 1 | 2 | 3 | 4): TensorId;
  /** basis . key (what 0) or value (1): basis f32 [H, r, d]; of the last `last` slots of each head, 0 = all. [rows, H, n, r], 0 beyond. */
  projectSlots(caches: Int32Array, layer: number, what: 0 | 1, basis: TensorId, last: number): TensorId;
  /** basis . query: q act or f32 [rows, T, Hq * d], basis f32 [H, r, d] -> f32 [rows, T, Hq * r]. */
  projectQueries(q: TensorId, basis: TensorId, numQueryHeads: number): TensorId;
  /** Cosines of listed slots with listed slots of the same head: slots i32 [rows, H, M], lens i32 [rows, H]. [rows, H, left, right], -inf beyond. */
  pairwiseCosine(
    caches: Int32Array,
    layer: number,
    what: 0 | 1,
    left: TensorId,
    leftLens: TensorId,
    right: TensorId,
    rightLens: TensorId,
  ): TensorId;
  /**
   * Lloyd's k-means over the keys (0) or values (1) of each head; seeding 0 evenly spaced slots, 1 k-means++ by a hash of (seed, layer, head).
   * [centroids f32 [rows, H, clusters, d], assignment i32 [rows, H, maxLen] (-1 beyond), sizes i32 [rows, H, clusters]].
   */
  kMeans(
    caches: Int32Array,
    layer: number,
    what: 0 | 1,
    clusters: number,
    iterations: number,
    seeding: 0 | 1,
    seed: number,
  ): [centroids: TensorId, assignment: TensorId, sizes: TensorId];
  /** Mean key (0) or value (1) of each group: assignment i32 [rows, H, maxLen], a group or -1. f32 [rows, H, groups, d], 0 without members. */
  groupMeans(caches: Int32Array, layer: number, what: 0 | 1, assignment: TensorId, groups: number): TensorId;
  /** Softmax along the last axis; -inf stays -inf. */
  softmaxLists(x: TensorId): TensorId;
  /** Entropy in nats of weights over their sum, along the last axis (dropped); -inf weighs nothing. */
  entropyLists(x: TensorId): TensorId;
  /** Index of the largest entry along the last axis (dropped): i32, ties to the lower index, -1 where all are -inf. */
  argmaxLists(x: TensorId): TensorId;
  /** Fewest largest weights of each list whose sum is at least `mass` of the list's; protected entries as in topK. weights f32 [R, S, n] >= 0. */
  topP(weights: TensorId, mass: number, protectFirst: number, protectLast: number): [indices: TensorId, lens: TensorId];
  /** out[r, s, i] = values[r, s, index[r, s, i]]; index -1 gives -inf (f32) or -1 (i32). */
  takeLists(values: TensorId, index: TensorId): TensorId;
  /** Slots of [0, wholes[list]) that an ascending list does not name (lens -1: none). */
  complementLists(values: TensorId, lens: TensorId, wholes: Int32Array): [indices: TensorId, lens: TensorId];
  /** Entries [0, used[list]) of a plane f32 or i32 [R, H, capacity, 1] as lists [R, H, max(used)]; -inf or -1 beyond. */
  readEntries(plane: TensorId, used: Int32Array): TensorId;
  /** scores f32 [R, S, n] with -inf at the listed entries (i32 [R, S, M], lens -1: all). */
  maskLists(scores: TensorId, values: TensorId, lens: TensorId): TensorId;
  /** x i32 [R, ...] plus by[row]. */
  addToRows(x: TensorId, by: Int32Array): TensorId;
  /** Writes source [R, H, T, w] over entries [end - T, end) of plane [R, H, capacity, w], ends by list. */
  writeEntries(source: TensorId, plane: TensorId, ends: Int32Array): void;

  // ---- quantise and back, for tests and for methods that need the round trip ----
  /** x f32 [n, d] -> dequantised f32 [n, d]; same rules as cacheQuantise. */
  quantiseRoundTrip(x: TensorId, bits: number, group: number, along: 0 | 1): TensorId;

  // ---- benchmarks: repeat an op natively so that the binding is not measured ----
  benchPeak(kind: 'f32' | 'bf16' | 'int8', threads: number): number;
  benchReadBandwidth(megabytes: number, threads: number): number;

  // ---- many calls in one ----
  /**
   * Runs the calls of a program in order, as if each were made alone; the first that fails throws its own error. `program` holds, for
   * each call, its op's code (engine/core/recorder.ts), the number of its arguments and the arguments; an Int32Array is an offset in `lists`,
   * where its length and then its elements stand. `length`: numbers of the program that count. Absent where calls are timed one by one.
   */
  replay?(program: Float64Array, length: number, lists: Int32Array): void;

  // ---- parity: runs the native parity table (optionally only ops whose name contains `filter`), returns one line of JSON a case ----
  parity(filter: string): string[];
}
