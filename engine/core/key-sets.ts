/** Key sets of a plan as the native op takes them. */
import { WinnowError } from '../../core/errors.js';
import type { KeySet, Ragged } from '../../methods/contract.js';
import { device as deviceOf } from './device.js';

export type RowsSet = Extract<KeySet, { kind: 'rows' }>;

export interface NativeSets {
  /** Ten numbers a set, as `attendSets` takes them; empty when the part reads no slots. */
  readonly sets: Int32Array;
  /** Queries that attend; undefined: all. */
  readonly queries: Ragged | undefined;
  readonly rows: readonly RowsSet[];
}

export interface SetContext {
  readonly inPrefill: boolean;
  /** Lists of a step bring its new slots along, unless another part does. */
  readonly carriesNew: boolean;
  /** What `previous` and `fromLayer` stand for. */
  resolve(keys: Extract<KeySet, { kind: 'previous' | 'fromLayer' }>): KeySet;
}

/** Whether a key set can name slots of the cache. */
export const readsSlots = (keys: KeySet): boolean =>
  keys.kind === 'union' ? keys.of.some(readsSlots) : keys.kind !== 'none' && keys.kind !== 'rows';

export const nativeSets = (keys: KeySet, context: SetContext): NativeSets => {
  const sets: number[] = [];
  const rows: RowsSet[] = [];
  let queries: Ragged | undefined;
  const add = (set: KeySet, isWhole: boolean): void => {
    switch (set.kind) {
      case 'none':
        return;
      case 'all':
        sets.push(0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        return;
      case 'window':
        sets.push(1, 0, 0, 0, 0, 0, set.sinkTokens, set.recentTokens, 0, 0);
        return;
      case 'tokens':
        sets.push(2, ...idsOf(set.indices), context.carriesNew ? 1 : 0, 0, 0, 0, 0, 0, 0);
        return;
      case 'blocks': {
        const withNew = context.carriesNew && !context.inPrefill ? 1 : 0;
        const queryBlock = set.lists.values.shape.length === 4 ? set.queryBlock : 0;
        sets.push(3, ...idsOf(set.lists), withNew, set.keyBlock, queryBlock, 0, 0, 0, 0);
        return;
      }
      case 'vertical-slash':
        sets.push(4, ...idsOf(set.columns), 0, 0, 0, 0, 0, ...idsOf(set.diagonals));
        return;
      case 'gather':
        if (!isWhole)
          throw new WinnowError(
            'ERR_UNSUPPORTED',
            'plan.keys',
            'gather as the only set of a part',
            'gather in a union',
            'Put it in a part of its own.',
          );
        queries = set.queries;
        sets.push(2, ...idsOf(set.keys), 0, 0, 0, 0, 0, 0, 0);
        return;
      case 'rows':
        rows.push(set);
        return;
      case 'union':
        for (const member of set.of) add(member, false);
        return;
      case 'previous':
      case 'fromLayer':
        add(context.resolve(set), isWhole);
    }
  };
  add(keys, true);
  return { sets: Int32Array.from(sets), queries, rows };
};

const idsOf = (lists: Ragged): [number, number] => [deviceOf(lists.values).id, deviceOf(lists.lens).id];

/** Tensors that a key set holds on to. */
export const tensorsOf = (keys: KeySet): number[] => {
  const of = (lists: Ragged): number[] => idsOf(lists);
  switch (keys.kind) {
    case 'tokens':
      return of(keys.indices);
    case 'blocks':
      return of(keys.lists);
    case 'vertical-slash':
      return [...of(keys.columns), ...of(keys.diagonals)];
    case 'gather':
      return [...of(keys.queries), ...of(keys.keys)];
    case 'rows':
      return [deviceOf(keys.keys).id, deviceOf(keys.values).id];
    case 'union':
      return keys.of.flatMap(tensorsOf);
    default:
      return [];
  }
};
