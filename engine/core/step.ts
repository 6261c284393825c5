import { asWinnowError, type WinnowError } from '../../core/errors.js';
import type { Device, DeviceTensor } from './device.js';
import type { Group, GroupContext } from './group.js';
import { releaseRow } from './release.js';
import type { Row } from './rows.js';
import type { RowMeter } from './selection.js';
import { attendGroup, isWatched, type StepKeep } from './step-attend.js';
import { addBills, appendedBytes, rollBack, settleMeters } from './step-books.js';
import { commit, lastOf, maintain } from './step-hooks.js';
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
  /** Of each token: an earlier token of its row that it follows, or -1; it sees its ancestors alone. Absent: each follows the one before. */
  readonly parents?: Int32Array;
  /** Measure evidence read by selectors. */
  readonly recall: boolean;
  /** Made by `prepareStep` of these groups after their last step. */
  readonly prepared?: PreparedStep;
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

/** What a step knows of its rows before it knows their tokens. */
export interface PreparedStep {
  readonly rows: readonly Row[];
  readonly caches: Int32Array;
  /** i32 [rows * queryLen]. */
  readonly positions: Int32Array;
  readonly meters: readonly RowMeter[];
}

/** Of the rows as they are now. For a device it is done while it works on the step before. */
export const prepareStep = ({
  groups,
  queryLen,
  parents,
}: Pick<StepRequest, 'groups' | 'queryLen' | 'parents'>): PreparedStep => {
  const rows = groups.flatMap((group) => group.rows);
  const caches = new Int32Array(rows.length);
  const positions = new Int32Array(rows.length * queryLen);
  for (let r = 0; r < rows.length; r++) {
    const { cache, nextPosition } = rows[r]!;
    caches[r] = cache;
    for (let t = 0; t < queryLen; t++) {
      const at = r * queryLen + t;
      const parent = parents === undefined ? t - 1 : parents[at]!;
      // A drafted token stands one place behind its parent.
      positions[at] = parent < 0 ? nextPosition : positions[r * queryLen + parent]! + 1;
    }
  }
  const meters = rows.map(
    (): RowMeter => ({ slotsRead: NO_SLOTS, bytes: 0, recallSum: 0, recallHeads: 0, selected: false }),
  );
  return { rows, caches, positions, meters };
};

/** Feeds one step to all rows as one batch: weights are read once for all of them. */
export const runStep = (context: GroupContext, transformer: Transformer, request: StepRequest): StepOutcome => {
  const { device, shapes } = context;
  const { groups, queryLen } = request;
  const { rows, caches, positions, meters } = request.prepared ?? prepareStep(request);
  let isBooked = false;
  /** The new slots into the books, once: for hooks that look at them, else when the device has its work. */
  const bookSlots = (): void => {
    if (isBooked) return;
    isBooked = true;
    for (const row of rows) for (let i = 0; i < row.slots.length; i++) row.slots[i]! += queryLen;
  };
  const keep: StepKeep = {
    stepQueries: new Map(),
    probabilities: new Map(),
    allQueries: new Map(),
    begun: new Map(),
    bookings: [],
  };
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
    const slices = sliceGroups(device, request, caches);
    const logits = transformer.run({
      ids: request.ids,
      positions,
      caches,
      queryLen,
      isStep: true,
      logits: request.logits,
      defersAttention: true,
      ...(groups.some(keepsUnrotated) ? { keepsUnrotated: (row) => keepsUnrotated(groupOf(groups, row)) } : {}),
      attend(layer, q, out, source) {
        const shape = shapes[layer]!;
        for (const { members, first, count, from, ...slice } of slices(q, out)) {
          const [group] = members;
          if (members.length === 1 && isWatched(group!, request)) {
            source.flush();
            bookSlots();
            attendGroup({
              context,
              transformer,
              request,
              keep,
              group: group!,
              layer,
              ...slice,
              source,
              meters: meters.slice(first, first + count),
              firstRow: first,
              guarded: (body) => guarded(group!, body),
            });
            continue;
          }
          const { kvSource, softmaxScale, softCap = 0, slidingWindow = 0 } = shape;
          const [whole, into] = [slice.q.id, slice.out.id];
          source.ops.attendDecode(
            whole,
            from,
            kvSource,
            queryLen,
            softmaxScale,
            softCap,
            slidingWindow,
            0,
            0,
            0,
            0,
            into,
            0,
            0,
          );
        }
      },
    });

    bookSlots();
    for (const book of keep.bookings) book();

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
      group.plans.settle(queryLen, kept);
      if (kept < queryLen) rollBack(context, [group], queryLen - kept);
      guarded(group, () => commit(context, group, request, kept, keep.allQueries.get(group)));
    }
    for (const group of groups) {
      const last = keep.stepQueries
        .get(group)
        ?.map((q) => lastOf(device, q, group.rows.length, queryLen, accepted.get(group)!));
      guarded(group, () => maintain(context, group, queryLen, last, keep.probabilities.get(group)));
    }
    for (const row of rows) releaseRow(context, row);
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

const NO_SLOTS = new Int32Array(0);

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

const keepsUnrotated = (group: Group): boolean => group.rows[0]!.resolved.declaration.layout.keyRope === 'pre';

const groupOf = (groups: readonly Group[], row: number): Group => {
  let first = 0;
  for (const group of groups) {
    first += group.rows.length;
    if (row < first) return group;
  }
  return groups.at(-1)!;
};

interface GroupSlice {
  readonly members: readonly Group[];
  readonly first: number;
  readonly count: number;
  readonly from: Int32Array;
  readonly q: DeviceTensor;
  readonly out: DeviceTensor;
}

/** Runs of neighbouring plain groups share one attention call; the views are cut once per step, as scratch tensors stay the same. */
const sliceGroups = (device: Device, request: StepRequest, caches: Int32Array) => {
  const { groups, queryLen } = request;
  let cut: GroupSlice[] | undefined;
  return (q: DeviceTensor, out: DeviceTensor): readonly GroupSlice[] => {
    if (cut !== undefined) return cut;
    const runs: { members: Group[]; first: number; count: number }[] = [];
    let first = 0;
    for (const group of groups) {
      const last = runs.at(-1);
      if (last !== undefined && !isWatched(group, request) && !isWatched(last.members[0]!, request)) {
        last.members.push(group);
        last.count += group.rows.length;
      } else runs.push({ members: [group], first, count: group.rows.length });
      first += group.rows.length;
    }
    cut = runs.map((run) => ({
      ...run,
      from: caches.subarray(run.first, run.first + run.count),
      q: device.slice(q, run.first * queryLen, run.count * queryLen),
      out: device.slice(out, run.first * queryLen, run.count * queryLen),
    }));
    return cut;
  };
};
