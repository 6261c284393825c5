/** Shapes and bytes of declared state, from the declaration alone. */
import type { LayerShape, StateField } from '../../methods/contract.js';

const itemBytes = { f32: 4, bf16: 2, i32: 4, u8: 1 } as const;

export const headsOf = (scope: string, shape: LayerShape): number =>
  scope === 'kvHead' ? shape.numKvHeads : scope === 'queryHead' ? shape.numQueryHeads : 1;

/** Shape without the rows axis. A pool begins empty. */
export const fieldShape = (field: StateField, shape: LayerShape, slotCapacity: number): number[] => {
  switch (field.per) {
    case 'page':
      return [shape.numKvHeads, Math.ceil(slotCapacity / field.pageSize), 2, shape.headDim];
    case 'slot':
      return [headsOf(field.scope, shape), slotCapacity, field.width];
    case 'pool':
      return [headsOf(field.scope, shape), 0, field.width];
    default:
      return [headsOf(field.per, shape), ...field.shape];
  }
};

/** Bytes of one field of one layer: slots by head, rows of a pool. Step life weighs nothing between steps. */
export const fieldBytes = (field: StateField, shape: LayerShape, lens: Int32Array, poolRows: number): number => {
  const item = itemBytes[field.dtype];
  switch (field.per) {
    case 'page':
      return lens.reduce((sum, length) => sum + Math.ceil(length / field.pageSize) * field.width * item, 0);
    case 'slot': {
      const perHead = headsOf(field.scope, shape) / lens.length;
      return lens.reduce((sum, length) => sum + length * perHead * field.width * item, 0);
    }
    case 'pool':
      return headsOf(field.scope, shape) * poolRows * field.width * item;
    default:
      return field.life === 'sequence' ? fieldShape(field, shape, 0).reduce((a, b) => a * b, item) : 0;
  }
};
