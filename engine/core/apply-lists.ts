import { WinnowError } from '../../core/errors.js';
import type { Ragged, Tensor } from '../../methods/contract.js';
import { type DeviceTensor, device as deviceOf } from './device.js';
import type { Group, GroupContext } from './group.js';

/** Lists of a cache action by row and KV head; a list for the whole layer stands for each of its heads. */
export interface ActionLists {
  readonly maxLen: number;
  /** Entries of each KV head of a row, -1 for all. */
  lens(row: number): Int32Array;
  /** The entries of one list; the first call reads them back. */
  entries(row: number, head: number): Int32Array;
  /** A tensor of the action shaped as the lists, [rows, heads or 1, maxLen], cut to a row: [numKvHeads, maxLen]. */
  ofRow(t: Tensor, row: number): DeviceTensor;
  /** Host values of such a tensor for one head. */
  hostOf(t: Tensor, row: number, head: number): Float32Array | Int32Array;
}

export const actionLists = (
  { device, shapes }: GroupContext,
  group: Group,
  layer: number,
  lists: Ragged,
  where: string,
): ActionLists => {
  const heads = shapes[layer]!.numKvHeads;
  if (lists.scope !== 'kvHead' && lists.scope !== 'layer') {
    throw new WinnowError(
      'ERR_CONTRACT',
      where,
      'lists per KV head or per layer',
      lists.scope,
      'Reduce query heads first.',
    );
  }
  const listHeads = lists.scope === 'layer' ? 1 : heads;
  const [rows = 0, count = 0, maxLen = 0] = lists.values.shape;
  if (rows !== group.rows.length || count !== listHeads)
    throw new WinnowError('ERR_CONTRACT', where, `[${group.rows.length}, ${listHeads}, …]`, lists.values.shape);
  const lens = device.addon.download(deviceOf(lists.lens).id) as Int32Array;
  const downloaded = new Map<Tensor, Float32Array | Int32Array>();
  const host = (t: Tensor): Float32Array | Int32Array => {
    let values = downloaded.get(t);
    if (values === undefined) {
      const [tRows, tHeads, tLen] = t.shape;
      if (tRows !== rows || tHeads !== listHeads || tLen !== maxLen)
        throw new WinnowError('ERR_CONTRACT', where, `[${rows}, ${listHeads}, ${maxLen}] as the lists`, t.shape);
      values = device.addon.download(deviceOf(t).id) as Float32Array | Int32Array;
      downloaded.set(t, values);
    }
    return values;
  };
  const listOf = (row: number, head: number): number => row * listHeads + (listHeads === 1 ? 0 : head);
  return {
    maxLen,
    lens: (row) => Int32Array.from({ length: heads }, (_, h) => lens[listOf(row, h)]!),
    entries(row, head) {
      const list = listOf(row, head);
      return (host(lists.values) as Int32Array).subarray(list * maxLen, list * maxLen + Math.max(0, lens[list]!));
    },
    ofRow(t, row) {
      if (t.shape[0] !== rows || t.shape[1] !== listHeads || t.shape[2] !== maxLen)
        throw new WinnowError('ERR_CONTRACT', where, `[${rows}, ${listHeads}, ${maxLen}] as the lists`, t.shape);
      const cut = device.reshape(device.slice(deviceOf(t), row, 1), [listHeads, maxLen]);
      return listHeads === heads ? cut : device.repeat(cut, heads);
    },
    hostOf(t, row, head) {
      const list = listOf(row, head);
      return host(t).subarray(list * maxLen, (list + 1) * maxLen);
    },
  };
};
