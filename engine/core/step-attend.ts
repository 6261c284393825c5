/** Attention of the rows of one group in a step: what its hooks plan, with what they see before and after. */
import { WinnowError } from '../../core/errors.js';
import type { AttentionPlan, Ragged, Scope, StepView } from '../../methods/contract.js';
import { attendPlan, type PlanReads } from './attend-plan.js';
import { type DeviceTensor, device as deviceOf, largest } from './device.js';
import { type Group, type GroupContext, slotsView } from './group.js';
import { isPlainLayout, plainKeys } from './plan-keys.js';
import { countsForRecall } from './rows.js';
import { bookedLists, meterLists, meterReads, meterWholeLayer, type RowMeter } from './selection.js';
import type { StepRequest } from './step.js';
import { firstNewSlots, hasTier, readAtTier, readTierLists } from './step-books.js';
import { copyOf, needs, probsScope, readCaches, type StepSources, stepView } from './step-hooks.js';
import type { LayerSource, Transformer } from './transformer.js';

/** What a step keeps of the attention of its layers until hooks ran. */
export interface StepKeep {
  readonly stepQueries: Map<Group, DeviceTensor[]>;
  readonly probabilities: Map<Group, DeviceTensor[]>;
  readonly allQueries: Map<Group, DeviceTensor[]>;
  /** Plans of `beginStep`. */
  readonly begun: Map<Group, AttentionPlan>;
  /** Books of lists, kept when every layer has been asked for: reading a list waits for the device. */
  readonly bookings: (() => void)[];
}

export interface GroupAttention {
  readonly context: GroupContext;
  readonly transformer: Transformer;
  readonly request: StepRequest;
  readonly keep: StepKeep;
  readonly group: Group;
  readonly layer: number;
  /** act, of the group's rows alone. */
  readonly q: DeviceTensor;
  readonly out: DeviceTensor;
  readonly source: LayerSource;
  /** Of the group's rows; the first one's number in the step. */
  readonly meters: readonly RowMeter[];
  readonly firstRow: number;
  /** Runs a hook; when it throws, the group goes on without it. */
  guarded<R>(body: () => R): R | undefined;
}

const scopeCode: Record<Scope, 1 | 2 | 3> = { model: 1, layer: 1, kvHead: 2, queryHead: 3 };

/** Whether attention of this group must be called apart from the plain rows. */
export const isWatched = (group: Group, request: StepRequest): boolean => {
  const { decode } = group.hooks();
  const [first] = group.rows;
  return (
    decode?.beginStep !== undefined ||
    decode?.select !== undefined ||
    decode?.commit !== undefined ||
    decode?.afterAttend !== undefined ||
    group.state.hasPages ||
    request.parents !== undefined ||
    !isPlainLayout(first!.resolved.declaration.layout) ||
    probsScope(group) !== undefined
  );
};

export const attendGroup = (step: GroupAttention): void => {
  const { context, request, keep, group, layer, q, guarded } = step;
  const { device, shapes } = context;
  const { queryLen } = request;
  const shape = shapes[layer]!;
  const hooks = group.hooks();
  if (group.state.hasPages)
    group.state.refresh(layer, [...group.caches], firstNewSlots(context, group, layer, queryLen));
  if (hooks.decode?.commit !== undefined) push(keep.allQueries, group, copyOf(device, q));
  let probs: DeviceTensor | undefined;
  if (probsScope(group) !== undefined && queryLen === 1) {
    const { maxLen } = slotsView(context, group, layer, false);
    probs = device.empty('f32', [group.rows.length, shape.numQueryHeads, maxLen]);
    push(keep.probabilities, group, probs);
  } else if (probsScope(group) !== undefined) push(keep.stepQueries, group, copyOf(device, q));
  const lse = needs(group, 'lse') ? device.tensor('f32', [q.shape[0]!, shape.numQueryHeads]) : undefined;
  const sources: StepSources = {
    q,
    source: step.source,
    firstRow: step.firstRow,
    probs: () => probs,
    lse: () => lse,
  };
  let view: StepView | undefined;
  const viewOf = (): StepView => {
    view ??= stepView(context, group, layer, request, sources);
    return view;
  };
  if (layer === 0 && hooks.decode?.beginStep !== undefined) {
    const begun = guarded(() => hooks.decode!.beginStep!(viewOf()));
    if (begun !== undefined) keep.begun.set(group, begun);
  }
  const selected = hooks.decode?.select === undefined ? undefined : guarded(() => hooks.decode!.select!(viewOf()));
  const plan = selected ?? keep.begun.get(group);
  const { layout } = group.rows[0]!.resolved.declaration;
  const keys = plan === undefined ? undefined : plainKeys(plan, layout);
  const isDense = plan === undefined ? isPlainLayout(layout) : keys?.kind === 'all';
  const isListed = (keys?.kind === 'tokens' || keys?.kind === 'blocks') && rankOf(keys) === 3;
  if (request.parents === undefined && isDense) {
    if (plan !== undefined) {
      meterWholeLayer(context, group, layer, step.meters, wantsRecall(step));
      readTierLists(context, group, layer, undefined);
      group.plans.note(layer, plan, slotsAt(step));
    }
    attendListed(step, readCaches(context, request, group, layer, undefined), undefined, 0, lse, probs);
  } else if (request.parents === undefined && isListed) {
    const [lists, page] = keys.kind === 'tokens' ? [keys.indices, 0] : [keys.lists, keys.keyBlock];
    const wantSlots = request.readFrom !== undefined || hasTier(group);
    const booked = bookedLists(device, lists);
    const book = (): Int32Array[][] => {
      const reading = { layer, lists: booked, page, queryLen, wantRecall: wantsRecall(step), wantSlots };
      return meterLists(context, group, reading, step.meters);
    };
    if (!wantSlots) keep.bookings.push(book);
    const read = wantSlots ? book() : undefined;
    readTierLists(context, group, layer, read);
    group.plans.note(layer, plan!, slotsAt(step));
    attendListed(step, readCaches(context, request, group, layer, read), lists, page, lse, probs);
  } else {
    const general = plan ?? { parts: [{ keys: { kind: 'all' } }], mix: 'one-softmax' };
    const done = guarded(() => {
      attendGeneral(step, general, lse);
      return true;
    });
    // A plan that cannot be followed fails its setting; the row goes on with plain attention, so that the others can.
    if (done === undefined) attendListed(step, group.caches, undefined, 0, undefined, undefined);
    else if (probs !== undefined) guarded(() => refuseProbs(group));
  }
  if (hooks.decode?.afterAttend !== undefined) guarded(() => hooks.decode!.afterAttend!(viewOf()));
};

const wantsRecall = ({ context, request, layer }: GroupAttention): boolean =>
  request.recall && countsForRecall(context.shapes, layer);

const push = (map: Map<Group, DeviceTensor[]>, group: Group, value: DeviceTensor): void => {
  const list = map.get(group);
  if (list === undefined) map.set(group, [value]);
  else list.push(value);
};

const rankOf = (
  keys: { readonly kind: 'tokens'; readonly indices: Ragged } | { readonly kind: 'blocks'; readonly lists: Ragged },
): number => (keys.kind === 'tokens' ? keys.indices : keys.lists).values.shape.length;

const slotsAt = ({ context, group, layer, request }: GroupAttention) => ({
  rows: group.rows.length,
  lens: slotsView(context, group, layer, false).lens,
  queryLen: request.queryLen,
});

/** The fast call: everything, or one list for each row, KV head or query head. */
const attendListed = (
  { context, request, layer, q, out }: GroupAttention,
  caches: Int32Array,
  lists: Ragged | undefined,
  page: number,
  lse: DeviceTensor | undefined,
  probs: DeviceTensor | undefined,
): void => {
  const shape = context.shapes[layer]!;
  context.device.addon.attendDecode(
    q.id,
    caches,
    layer,
    request.queryLen,
    shape.softmaxScale,
    shape.softCap ?? 0,
    shape.slidingWindow ?? 0,
    lists === undefined ? 0 : scopeCode[lists.scope],
    lists === undefined ? 0 : deviceOf(lists.values).id,
    lists === undefined ? 0 : deviceOf(lists.lens).id,
    page,
    out.id,
    lse?.id ?? 0,
    probs?.id ?? 0,
  );
};

/** Any other plan. What is read is counted by the kernel that read it. */
const attendGeneral = (step: GroupAttention, plan: AttentionPlan, lse: DeviceTensor | undefined): void => {
  const { context, transformer, request, group, layer, q, out } = step;
  const at = slotsAt(step);
  const [first] = group.rows;
  const wantSlots = request.readFrom !== undefined || hasTier(group) || request.recall;
  const lastPosition = Math.max(...group.rows.map((row) => row.nextPosition)) + request.queryLen;
  const segments = first!.sequence.segments;
  const run = (caches: Int32Array): PlanReads =>
    attendPlan(
      {
        device: context.device,
        shape: context.shapes[layer]!,
        layer,
        caches,
        queryLen: request.queryLen,
        q,
        out,
        ...(lse === undefined ? {} : { lse }),
        inPrefill: false,
        layout: first!.resolved.declaration.layout,
        cacheLayout: transformer.layout,
        table: (least) => context.rotary(layer, Math.max(least, lastPosition), lastPosition),
        ...(request.parents === undefined ? {} : { parents: parentsOf(step) }),
        ...(segments === undefined ? {} : { segments: context.device.i32(segments) }),
        resolve: (part) => group.plans.resolve(layer, part, at),
        ...(wantSlots ? { seenWidth: largest(at.lens) } : {}),
      },
      plan,
    );
  const reads = run(group.caches);
  const slots = meterReads(context, group, layer, reads, largest(at.lens), step.meters, wantsRecall(step));
  if (reads.tier !== undefined) readAtTier(context, group, layer, reads.tier, request.queryLen);
  else if (slots !== undefined) readTierLists(context, group, layer, slots);
  if (request.readFrom !== undefined) run(readCaches(context, request, group, layer, slots));
  group.plans.note(layer, plan, at);
};

/** Parents of the group's rows among the step's. */
const parentsOf = ({ context, request, group, firstRow }: GroupAttention): DeviceTensor =>
  context.device.i32(
    request.parents!.slice(firstRow * request.queryLen, (firstRow + group.rows.length) * request.queryLen),
  );

const refuseProbs = (group: Group): never => {
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    `${group.rows[0]!.resolved.bound.method.id}.probs`,
    'a plan of one part over all heads where probs are needed',
    'another plan',
  );
};
