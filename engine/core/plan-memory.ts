/** What attention plans of one group read last: for the key sets `previous` and `fromLayer`. */
import { WinnowError } from '../../core/errors.js';
import type { AttentionPlan, KeySet } from '../../methods/contract.js';
import type { Device } from './device.js';
import { type SetContext, tensorsOf } from './key-sets.js';

interface Remembered {
  readonly keys: KeySet;
  /** Slots [from, to) by row and KV head that came since and are read too. */
  readonly from: Int32Array;
  readonly to: Int32Array;
  /** Slots by row and KV head after the step. */
  readonly lens: Int32Array;
}

/** Slots of a layer while a step attends. */
export interface StepSlots {
  readonly rows: number;
  /** By row and KV head, the step's own included. */
  readonly lens: Int32Array;
  readonly queryLen: number;
}

/** Sets by layer and part; those of a step count from its end on. Lists live until the next step replaced them. */
export interface PlanMemory {
  resolve(layer: number, part: number, at: StepSlots): SetContext['resolve'];
  /** The plan that a layer followed in the step at hand. */
  note(layer: number, plan: AttentionPlan, at: StepSlots): void;
  /** The step is over, its first `accepted` tokens stay. */
  settle(queryLen: number, accepted: number): void;
  dispose(): void;
}

export const createPlanMemory = (device: Device, keeps: boolean): PlanMemory => {
  let last = new Map<string, Remembered>();
  let current = new Map<string, Remembered>();
  let used = new Map<string, KeySet>();
  const keyOf = (layer: number, part: number): string => `${layer}:${part}`;
  const free = (gone: ReadonlyMap<string, Remembered>, stays: ReadonlyMap<string, Remembered>): void => {
    const live = new Set([...stays.values()].flatMap(({ keys }) => tensorsOf(keys)));
    const dead = new Set([...gone.values()].flatMap(({ keys }) => tensorsOf(keys)).filter((id) => !live.has(id)));
    for (const id of dead) device.addon.free(id);
  };

  /** Adds the slots that came since to a remembered set. */
  const withRange = (keys: KeySet, from: Int32Array, to: Int32Array, rows: number): KeySet => {
    const heads = from.length / rows;
    const width = from.reduce((most, start, i) => Math.max(most, to[i]! - start), 0);
    if (width === 0) return keys;
    const values = new Int32Array(from.length * width).fill(-1);
    const lens = new Int32Array(from.length);
    from.forEach((start, i) => {
      for (let slot = start; slot < to[i]!; slot++) values[i * width + lens[i]!++] = slot;
    });
    const indices = {
      scope: 'kvHead',
      values: device.i32(values, [rows, heads, width]),
      lens: device.i32(lens, [rows, heads]),
      maxLen: width,
    } as const;
    return { kind: 'union', of: [keys, { kind: 'tokens', indices }] };
  };

  const find = (layer: number, part: number, { lens, queryLen }: StepSlots): Remembered | undefined => {
    if (!keeps)
      throw new WinnowError(
        'ERR_CONTRACT',
        'plan.previous',
        'a method that declares reusesPlans',
        'previous',
        'Declare reusesPlans: true.',
      );
    const known = last.get(keyOf(layer, part));
    if (known?.lens.some((length, i) => length + queryLen !== lens[i]))
      throw new WinnowError(
        'ERR_UNSUPPORTED',
        'plan.previous',
        'slots that only grew since the last step',
        'an eviction',
      );
    return known;
  };

  return {
    resolve: (layer, part, at) => (keys) => {
      if (keys.kind === 'fromLayer') {
        const set = used.get(keyOf(keys.layer, part));
        if (set !== undefined) return set;
        throw new WinnowError('ERR_CONTRACT', 'plan.fromLayer', `a layer below ${layer} with a plan`, keys.layer);
      }
      const known = find(layer, part, at);
      if (known === undefined) return { kind: 'all' };
      return withRange(known.keys, known.from, keys.plusNew ? known.lens : known.to, at.rows);
    },
    note(layer, plan, { lens, queryLen }) {
      plan.parts.forEach((part, p) => {
        const { keys } = part;
        const known = keys.kind === 'previous' ? last.get(keyOf(layer, p)) : undefined;
        const set =
          keys.kind === 'fromLayer'
            ? used.get(keyOf(keys.layer, p))!
            : keys.kind === 'previous'
              ? (known?.keys ?? ({ kind: 'all' } as const))
              : keys;
        used.set(keyOf(layer, p), set);
        if (!keeps) return;
        const firstNew = lens.map((length) => length - queryLen);
        const range =
          keys.kind !== 'previous' || known === undefined
            ? { from: firstNew, to: firstNew }
            : { from: known.from, to: keys.plusNew ? known.lens : known.to };
        for (const id of tensorsOf(set)) device.addon.keep(id);
        current.set(keyOf(layer, p), { keys: set, ...range, lens });
      });
    },
    settle(queryLen, accepted) {
      used = new Map();
      if (!keeps) return;
      const rejected = queryLen - accepted;
      const settled = new Map(
        [...(accepted === 0 ? last : current)].map(([key, entry]) => [
          key,
          accepted === 0 ? entry : { ...entry, lens: entry.lens.map((length) => length - rejected) },
        ]),
      );
      free(new Map([...last, ...current].map(([, entry], i) => [String(i), entry])), settled);
      last = settled;
      current = new Map();
    },
    dispose() {
      free(new Map([...last, ...current].map(([, entry], i) => [String(i), entry])), new Map());
      last = new Map();
      current = new Map();
    },
  };
};
