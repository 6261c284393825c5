/** Attention by a plan: every part apart where one call cannot say them all, then one softmax or gates over the parts. */
import { WinnowError } from '../../core/errors.js';
import type { AttentionPart, AttentionPlan, LayerShape, Layout, Positions } from '../../methods/contract.js';
import type { LayoutId } from '../../native/addon-types.js';
import { type Device, type DeviceTensor, device as deviceOf } from './device.js';
import { type NativeSets, nativeSets, type RowsSet, readsSlots, type SetContext } from './key-sets.js';

export interface PlanCall {
  readonly device: Device;
  readonly shape: LayerShape;
  readonly layer: number;
  readonly caches: Int32Array;
  readonly queryLen: number;
  /** act [rows * queryLen, Hq * d] and [rows * queryLen, Hq * dV]. */
  readonly q: DeviceTensor;
  readonly out: DeviceTensor;
  /** f32 [rows * queryLen, Hq], or not wanted. */
  readonly lse?: DeviceTensor;
  readonly inPrefill: boolean;
  readonly layout: Pick<Layout, 'keyRope' | 'positions'>;
  /** Geometry of caches for synthetic rows. */
  readonly cacheLayout: LayoutId;
  /** Rotary table with a row for every position below `least`. */
  table(least: number): DeviceTensor;
  /** Parents i32 [rows * queryLen] of drafted tokens. */
  readonly parents?: DeviceTensor;
  /** Segment of each position. */
  readonly segments?: DeviceTensor;
  /** What `previous` and `fromLayer` stand for in a part. */
  resolve(part: number): SetContext['resolve'];
  /** Slots that the caches hold, the largest of any row and head; given when what is read must be known slot by slot. */
  readonly seenWidth?: number;
}

export interface PlanReads {
  /** Query-key pairs, synthetic rows included. */
  readonly pairs: number;
  /** Slots read by row and KV head, once per list that reads them. */
  readonly counts: Int32Array;
  /** Synthetic rows read by each row and KV head. */
  readonly synthetic: number;
  /** u8 [rows, H, seenWidth]. */
  readonly seen?: Uint8Array;
  /** Of a plan with parts at the tier, where slots are asked for. */
  readonly tier?: TierReads;
}

/** Slots read by parts on the device and by parts at the tier, u8 as `seen`; query heads that were sent there. */
export interface TierReads {
  readonly onDevice: Uint8Array;
  readonly atTier: Uint8Array;
  sentHeads: number;
}

/** One call of the native op: a part over some heads. */
interface Piece {
  readonly part: AttentionPart;
  readonly sets: NativeSets;
  readonly heads: Int32Array;
  readonly oldOnly: boolean;
}

/** Runs a plan. Throws ERR_CONTRACT or ERR_UNSUPPORTED for what it cannot mean or cannot be done. */
export const attendPlan = (call: PlanCall, plan: AttentionPlan): PlanReads => {
  const { device, shape, q, out } = call;
  const { addon } = device;
  const books = { pairs: 0, counts: new Int32Array(call.caches.length * shape.numKvHeads), synthetic: 0 };
  const seen = call.seenWidth === undefined ? undefined : new Uint8Array(books.counts.length * call.seenWidth);
  const splits = seen !== undefined && plan.parts.some((part) => part.at === 'tier');
  const tier = splits
    ? { onDevice: new Uint8Array(seen.length), atTier: new Uint8Array(seen.length), sentHeads: 0 }
    : undefined;
  const pieces = piecesOf(call, plan);
  const queries = plan.queryScale === undefined ? q : device.tensor(device.act, q.shape);
  if (plan.queryScale !== undefined) addon.scaleRows(q.id, deviceOf(plan.queryScale).id, queries.id);
  const tokens = q.shape[0]!;
  const partial = (count: number) => ({
    outs: device.tensor('f32', [count, tokens, shape.numQueryHeads, shape.headDimV]),
    lses: device.tensor('f32', [count, tokens, shape.numQueryHeads]),
  });
  const whole = (t: DeviceTensor, at: number): DeviceTensor =>
    device.reshape(device.slice(t, at, 1), [tokens, t.shape.slice(2).reduce((a, b) => a * b, 1)]);

  /** One part's pieces into f32 out and lse. */
  const attendPart = (members: readonly Piece[], to: DeviceTensor, lse: DeviceTensor): void => {
    const slots = members.filter(({ sets }) => sets.sets.length > 0);
    const rows = members.flatMap((piece) => piece.sets.rows.map((set) => ({ piece, set })));
    const count = slots.length + rows.length;
    if (count === 0) {
      addon.upload(lse.id, new Float32Array(tokens * shape.numQueryHeads).fill(Number.NEGATIVE_INFINITY));
      return;
    }
    const { outs, lses } = count === 1 ? { outs: undefined, lses: undefined } : partial(count);
    let at = 0;
    const target = (): [DeviceTensor, DeviceTensor] =>
      outs === undefined ? [to, lse] : [whole(outs, at), whole(lses, at++)];
    for (const piece of slots) attendSlots(call, piece, queries, ...target(), books, seen, tier);
    for (const { piece, set } of rows) attendRows(call, piece, set, queries, ...target(), books);
    if (outs === undefined) return;
    const merged = device.reshape(to, [tokens, shape.numQueryHeads, shape.headDimV]);
    addon.mergeLse(outs.id, lses.id, merged.id, lse.id);
  };

  const [first] = pieces;
  const isOne = plan.mix === 'one-softmax' && pieces.length === 1 && first!.sets.rows.length === 0;
  if (isOne && first!.sets.sets.length > 0) {
    attendSlots(call, first!, queries, out, call.lse, books, seen, tier);
  } else if (plan.mix === 'one-softmax') {
    const to = device.tensor('f32', [tokens, shape.numQueryHeads * shape.headDimV]);
    const lse = call.lse ?? device.tensor('f32', [tokens, shape.numQueryHeads]);
    attendPart(pieces, to, lse);
    addon.copyRows(to.id, 0, out.id, 0, tokens);
  } else {
    const { outs, lses } = partial(plan.parts.length);
    plan.parts.forEach((part, p) => {
      const own = pieces.filter((piece) => piece.part === part);
      attendPart(own, whole(outs, p), whole(lses, p));
    });
    const mixed = device.tensor('f32', [tokens, shape.numQueryHeads, shape.headDimV]);
    addon.mixParts(outs.id, deviceOf(plan.mix.gates).id, mixed.id);
    addon.copyRows(device.reshape(mixed, [tokens, shape.numQueryHeads * shape.headDimV]).id, 0, out.id, 0, tokens);
    if (call.lse !== undefined)
      throw new WinnowError('ERR_UNSUPPORTED', 'plan.mix', 'one softmax where lse is needed', 'gates');
  }
  if (plan.headGain !== undefined) addon.scaleRows(out.id, deviceOf(plan.headGain).id, out.id);
  return { ...books, ...(seen === undefined ? {} : { seen }), ...(tier === undefined ? {} : { tier }) };
};

/** Parts as calls. In a step with one softmax the new slots belong to the first part that reads slots for a head. */
const piecesOf = (call: PlanCall, plan: AttentionPlan): Piece[] => {
  const { numQueryHeads } = call.shape;
  const all = Array.from({ length: numQueryHeads }, (_, head) => head);
  const carried = new Set<number>();
  return plan.parts.flatMap((part, index) => {
    const heads = part.heads === undefined ? all : [...new Set(part.heads)].sort((a, b) => a - b);
    if (heads.some((head) => !Number.isInteger(head) || head < 0 || head >= numQueryHeads))
      throw new WinnowError('ERR_CONTRACT', 'plan.heads', `query heads 0 to ${numQueryHeads - 1}`, heads.join());
    if (part.at === 'tier' && part.keys.kind === 'rows')
      throw new WinnowError('ERR_CONTRACT', 'plan.at', 'slots of the cache at the tier', 'synthetic rows');
    const setsFor = (carriesNew: boolean): NativeSets =>
      nativeSets(part.keys, { inPrefill: call.inPrefill, carriesNew, resolve: call.resolve(index) });
    const isWhole = heads.length === numQueryHeads;
    const piece = (members: readonly number[], oldOnly: boolean): Piece => ({
      part,
      sets: setsFor(!oldOnly),
      heads: isWhole && members.length === numQueryHeads ? new Int32Array(0) : Int32Array.from(members),
      oldOnly: oldOnly && !call.inPrefill,
    });
    if (heads.length === 0) return [];
    if (plan.mix !== 'one-softmax' || !readsSlots(part.keys)) return [piece(heads, false)];
    const fresh = heads.filter((head) => !carried.has(head));
    const later = heads.filter((head) => carried.has(head));
    for (const head of fresh) carried.add(head);
    return [...(fresh.length > 0 ? [piece(fresh, false)] : []), ...(later.length > 0 ? [piece(later, true)] : [])];
  });
};

interface Books {
  pairs: number;
  readonly counts: Int32Array;
  synthetic: number;
}

const attendSlots = (
  call: PlanCall,
  piece: Piece,
  q: DeviceTensor,
  out: DeviceTensor,
  lse: DeviceTensor | undefined,
  books: Books,
  seen: Uint8Array | undefined,
  tier: TierReads | undefined,
): void => {
  const { device, shape } = call;
  const { addon } = device;
  const { part, sets } = piece;
  const rows = call.caches.length;
  const positions = part.positions ?? call.layout.positions;
  const turns = positions !== 'keep' || call.layout.keyRope === 'pre';
  const isByEntry = part.bias !== undefined && part.keys.kind === 'tokens';
  const how = Int32Array.of(
    visibleCode(call, part),
    part.visible === 'segments' ? (call.segments?.id ?? 0) : (call.parents?.id ?? 0),
    piece.oldOnly ? 1 : 0,
    sets.queries === undefined ? 0 : deviceOf(sets.queries.values).id,
    sets.queries === undefined ? 0 : deviceOf(sets.queries.lens).id,
    part.bias === undefined ? 0 : deviceOf(part.bias).id,
    isByEntry ? 1 : 0,
    positions === 'keep' ? 0 : positions === 'compact' ? 1 : 2,
    clampOf(positions),
    turns ? call.table(clampOf(positions) + 1).id : 0,
    call.layout.keyRope === 'pre' ? 0 : 1,
  );
  const counts = device.tensor('i32', [rows, shape.numKvHeads]);
  const mask = seen === undefined ? undefined : device.tensor('u8', [rows, shape.numKvHeads, call.seenWidth!]);
  books.pairs += addon.attendSets(
    q.id,
    call.caches,
    call.layer,
    call.queryLen,
    shape.softmaxScale,
    shape.softCap ?? 0,
    shape.slidingWindow ?? 0,
    sets.sets,
    piece.heads,
    how,
    out.id,
    lse?.id ?? 0,
    call.inPrefill ? 0 : counts.id,
    mask?.id ?? 0,
  );
  if (!call.inPrefill) {
    const read = addon.download(counts.id) as Int32Array;
    for (let i = 0; i < read.length; i++) books.counts[i]! += read[i]!;
  }
  if (mask === undefined) return;
  const bits = addon.download(mask.id) as Uint8Array;
  const side = tier === undefined ? undefined : part.at === 'tier' ? tier.atTier : tier.onDevice;
  for (let i = 0; i < bits.length; i++) {
    seen![i]! |= bits[i]!;
    if (side !== undefined) side[i]! |= bits[i]!;
  }
  if (tier !== undefined && part.at === 'tier')
    tier.sentHeads += piece.heads.length === 0 ? shape.numQueryHeads : piece.heads.length;
};

const clampOf = (positions: Positions): number => (typeof positions === 'object' ? positions.clampDistance : 0);

const visibleCode = (call: PlanCall, part: AttentionPart): number => {
  const isTree = call.parents !== undefined;
  if (part.visible === 'segments' && !isTree) return call.segments === undefined ? 0 : 3;
  if (part.visible === 'bidirectional' && !isTree) return 1;
  if (isTree && part.visible !== undefined && part.visible !== 'causal')
    throw new WinnowError('ERR_UNSUPPORTED', 'plan.visible', 'causal attention of drafted tokens', part.visible);
  return isTree ? 2 : 0;
};

/** Synthetic keys and values, seen by every query: a cache of their own for the length of the call. */
const attendRows = (
  call: PlanCall,
  { part, heads }: Piece,
  set: RowsSet,
  q: DeviceTensor,
  out: DeviceTensor,
  lse: DeviceTensor,
  books: Books,
): void => {
  const { device, shape } = call;
  const { addon } = device;
  const keys = deviceOf(set.keys);
  const values = deviceOf(set.values);
  const [rows = 0, numKvHeads = 0, count = 0] = keys.shape;
  if (rows !== call.caches.length || numKvHeads !== shape.numKvHeads || count === 0)
    throw new WinnowError(
      'ERR_CONTRACT',
      'plan.rows',
      `keys f32 [${call.caches.length}, ${shape.numKvHeads}, at least 1, ${shape.headDim}]`,
      keys.shape.join(),
    );
  const caches = Int32Array.from({ length: rows }, () => addon.cacheCreate(call.cacheLayout));
  try {
    const ones = device.i32(new Int32Array(numKvHeads * count).fill(1), [numKvHeads, count]);
    const zeros = device.tensor('i32', [numKvHeads, count]);
    const none = device.tensor('f32', [numKvHeads, count]);
    const of = (t: DeviceTensor, row: number): number => device.reshape(device.slice(t, row, 1), t.shape.slice(1)).id;
    caches.forEach((cache, row) => {
      addon.cacheAppend(cache, call.layer, of(keys, row), of(values, row), zeros.id, ones.id, none.id);
    });
    const bias = part.bias === undefined || part.keys.kind !== 'rows' ? 0 : deviceOf(part.bias).id;
    books.pairs += addon.attendSets(
      q.id,
      caches,
      call.layer,
      call.queryLen,
      shape.softmaxScale,
      shape.softCap ?? 0,
      0,
      new Int32Array(10),
      heads,
      Int32Array.of(4, 0, 0, 0, 0, bias, 0, 0, 0, 0, 1),
      out.id,
      lse.id,
      0,
      0,
    );
    books.synthetic += count;
  } finally {
    for (const cache of caches) addon.cacheFree(cache);
  }
};
