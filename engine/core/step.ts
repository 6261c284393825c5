import { asWinnowError, type WinnowError } from '../../core/errors.js';
import type { Scope, StepView } from '../../methods/contract.js';
import type { TensorId } from '../../native/addon-types.js';
import { type Device, type DeviceTensor, device as deviceOf } from './device.js';
import { type Group, type GroupContext, slotsView } from './group.js';
import type { Row } from './rows.js';
import { downloadLists, listsOf, meterLists, meterWholeLayer, type RowMeter } from './selection.js';
import {
  addBills,
  appendedBytes,
  firstNewSlots,
  hasTier,
  readTierLists,
  rollBack,
  settleMeters,
} from './step-books.js';
import { commit, copyOf, lastOf, maintain, probsScope, readCaches, stepView } from './step-hooks.js';
import { endTierStep } from './tier.js';
import type { Transformer } from './transformer.js';

/** A step of T >= 1 tokens for every row of every group. */
export interface StepRequest {
  readonly groups: readonly Group[];
  /** [rows * queryLen], rows in group order. */
  readonly ids: Int32Array;
  readonly queryLen: number;
  readonly phase: 'question' | 'answer';
  readonly step: number;
  readonly logits: 'last' | 'all';
  /**
   * How many of a group's first tokens stay, decided when the logits are known (with `logits: 'all'`, rows of the group from
   * `firstRow * queryLen` on); the rest is dropped before commit and maintain. Absent: all.
   */
  accept?(group: Group, logits: DeviceTensor, firstRow: number): number;
  /** Measure evidence read by selectors. */
  readonly recall: boolean;
  /** Replaces the caches that attention reads (conformance: poison); gets what the plan lists. */
  readonly readFrom?: (row: Row, layer: number, lists: readonly Int32Array[]) => number;
}

export interface StepRow {
  /** Slots per (layer, KV head) when the step attended, its own included. */
  readonly slots: Int32Array;
  /** Slots read per (layer, KV head), new ones included. */
  readonly slotsRead: Int32Array;
  /** Bytes of K and V of those slots and of what ops read. */
  readonly bytesRead: number;
  /** Bytes between the device and the second tier, both ways. */
  readonly bytesMoved: number;
  /** Evidence read, mean over layers and heads; NaN when nothing selects or nothing is asked. */
  readonly recall: number;
}
export interface StepOutcome {
  /** Groups whose hooks threw: their rows went on with plain attention and count no more. */
  readonly failures: ReadonlyMap<Group, WinnowError>;
  /** f32 [rows or rows * queryLen, vocabSize], owned by the transformer. */
  readonly logits: DeviceTensor;
  readonly rows: readonly StepRow[];
}

const scopeCode: Record<Scope, 1 | 2 | 3> = { model: 1, layer: 1, kvHead: 2, queryHead: 3 };

/** Feeds one step to all rows as one batch: weights are read once for all of them. */
export const runStep = (context: GroupContext, transformer: Transformer, request: StepRequest): StepOutcome => {
  const { device, shapes } = context;
  const { addon } = device;
  const { groups, queryLen } = request;
  const rows = groups.flatMap((group) => group.rows);
  const caches = Int32Array.from(rows, (row) => row.cache);
  const positions = new Int32Array(rows.length * queryLen);
  rows.forEach((row, r) => {
    for (let t = 0; t < queryLen; t++) positions[r * queryLen + t] = row.nextPosition + t;
  });
  for (const row of rows) for (let i = 0; i < row.slots.length; i++) row.slots[i]! += queryLen;
  const meters = rows.map(
    (): RowMeter => ({ slotsRead: new Int32Array(0), bytes: 0, recallSum: 0, recallHeads: 0, selected: false }),
  );
  const stepQueries = new Map<Group, DeviceTensor[]>();
  const probabilities = new Map<Group, DeviceTensor[]>();
  const allQueries = new Map<Group, DeviceTensor[]>();
  const failures = new Map<Group, WinnowError>();
  /** A hook that throws fails its own group; the others never notice. */
  const guarded = <R>(group: Group, body: () => R): R | undefined => {
    if (failures.has(group)) return undefined;
    try {
      return body();
    } catch (thrown) {
      failures.set(group, asWinnowError(thrown, group.rows[0]!.resolved.bound.method.id));
      return undefined;
    }
  };

  return device.scope(() => {
    const slices = sliceGroups(device, groups, queryLen);
    const logits = transformer.run({
      ids: request.ids,
      positions,
      caches,
      queryLen,
      isStep: true,
      logits: request.logits,
      attend(layer, q, out) {
        const shape = shapes[layer]!;
        const scale = shape.softmaxScale;
        const cap = shape.softCap ?? 0;
        const sliding = shape.slidingWindow ?? 0;
        for (const slice of slices(q, out)) {
          const { members, first, count } = slice;
          const attend = (
            from: Int32Array,
            scope: 0 | 1 | 2 | 3,
            indices: TensorId,
            lens: TensorId,
            page: number,
            probs: TensorId,
          ) =>
            addon.attendDecode(
              slice.q.id,
              from,
              layer,
              queryLen,
              scale,
              cap,
              sliding,
              scope,
              indices,
              lens,
              page,
              slice.out.id,
              0,
              probs,
            );
          const group = members.length === 1 ? members[0]! : undefined;
          if (group === undefined || !isWatched(group)) {
            attend(caches.subarray(first, first + count), 0, 0, 0, 0, 0);
            continue;
          }
          if (group.state.hasPages)
            group.state.refresh(layer, [...group.caches], firstNewSlots(context, group, layer, queryLen));
          if (group.hooks().decode?.commit !== undefined) push(allQueries, group, copyOf(device, slice.q));
          const needsProbs = probsScope(group) !== undefined;
          const hooks = group.hooks();
          let probs: DeviceTensor | undefined;
          let view: StepView | undefined;
          if (needsProbs && queryLen === 1) {
            const slots = slotsView(context, group, layer, false);
            probs = device.tensor('f32', [count, shape.numQueryHeads, slots.maxLen]);
            push(probabilities, group, probs);
          } else if (needsProbs) push(stepQueries, group, copyOf(device, slice.q));
          if (hooks.decode?.select !== undefined || hooks.decode?.afterAttend !== undefined)
            view = stepView(context, group, layer, slice.q, request, () => probs);
          const plan = guarded(group, () => hooks.decode?.select?.(view!));
          const lists = plan === undefined ? undefined : guarded(group, () => listsOf(plan));
          if (lists === undefined) {
            if (plan !== undefined) {
              meterWholeLayer(context, group, layer, meters.slice(first, first + count), request.recall);
              readTierLists(context, group, layer, undefined);
            }
            attend(readCaches(context, request, group, layer, undefined), 0, 0, 0, 0, probs?.id ?? 0);
          } else {
            const host = downloadLists(device, lists.lists);
            const reading = {
              layer,
              host,
              page: lists.page,
              queryLen,
              wantRecall: request.recall,
              wantSlots: request.readFrom !== undefined || hasTier(group),
            };
            const read = meterLists(context, group, reading, meters.slice(first, first + count));
            readTierLists(context, group, layer, read);
            attend(
              readCaches(context, request, group, layer, read),
              scopeCode[lists.lists.scope],
              deviceOf(lists.lists.values).id,
              deviceOf(lists.lists.lens).id,
              lists.page,
              probs?.id ?? 0,
            );
          }
          guarded(group, () => hooks.decode?.afterAttend?.(view!));
        }
      },
    });

    const accepted = acceptedTokens(request, logits!);
    for (const group of groups) {
      for (const row of group.rows) {
        row.nextPosition += accepted.get(group)!;
        row.fullReadBytes += queryLen * appendedBytes(context);
      }
    }
    const attended = rows.map((row) => row.slots.slice());
    settleMeters(context, rows, meters);
    for (const group of groups) {
      const kept = accepted.get(group)!;
      if (kept < queryLen) rollBack(context, [group], queryLen - kept);
      guarded(group, () => commit(context, group, request, kept, allQueries.get(group)));
    }
    for (const group of groups) {
      const last = stepQueries
        .get(group)
        ?.map((q) => lastOf(device, q, group.rows.length, queryLen, accepted.get(group)!));
      guarded(group, () => maintain(context, group, queryLen, last, probabilities.get(group)));
    }
    addBills(groups, meters);
    return {
      failures,
      logits: logits!,
      rows: meters.map((m, r) => ({
        slots: attended[r]!,
        slotsRead: m.slotsRead,
        bytesRead: m.bytes,
        bytesMoved: endTierStep(rows[r]!),
        recall: m.recallHeads === 0 ? Number.NaN : m.recallSum / m.recallHeads,
      })),
    };
  });
};

const acceptedTokens = ({ groups, queryLen, accept }: StepRequest, logits: DeviceTensor): Map<Group, number> => {
  let first = 0;
  return new Map(
    groups.map((group) => {
      const kept = accept?.(group, logits, first) ?? queryLen;
      first += group.rows.length;
      return [group, kept];
    }),
  );
};

/** Whether attention of this group must be called apart from the plain rows. */
const isWatched = (group: Group): boolean => {
  const hooks = group.hooks();
  return (
    hooks.decode?.select !== undefined ||
    hooks.decode?.commit !== undefined ||
    hooks.decode?.afterAttend !== undefined ||
    group.state.hasPages ||
    probsScope(group) !== undefined
  );
};

const push = (map: Map<Group, DeviceTensor[]>, group: Group, value: DeviceTensor): void => {
  const list = map.get(group);
  if (list === undefined) map.set(group, [value]);
  else list.push(value);
};

interface GroupSlice {
  readonly members: readonly Group[];
  readonly first: number;
  readonly count: number;
  readonly q: DeviceTensor;
  readonly out: DeviceTensor;
}

/** Runs of neighbouring plain groups share one attention call; the views are cut once per step, as scratch tensors stay the same. */
const sliceGroups = (device: Device, groups: readonly Group[], queryLen: number) => {
  let cut: GroupSlice[] | undefined;
  return (q: DeviceTensor, out: DeviceTensor): readonly GroupSlice[] => {
    if (cut !== undefined) return cut;
    const runs: { members: Group[]; first: number; count: number }[] = [];
    let first = 0;
    for (const group of groups) {
      const last = runs.at(-1);
      if (last !== undefined && !isWatched(group) && !isWatched(last.members[0]!)) {
        last.members.push(group);
        last.count += group.rows.length;
      } else runs.push({ members: [group], first, count: group.rows.length });
      first += group.rows.length;
    }
    cut = runs.map((run) => ({
      ...run,
      q: device.slice(q, run.first * queryLen, run.count * queryLen),
      out: device.slice(out, run.first * queryLen, run.count * queryLen),
    }));
    return cut;
  };
};
