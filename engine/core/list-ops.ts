import { WinnowError } from '../../core/errors.js';
import type { ListOps, Ragged, Scope, Tensor } from '../../methods/contract.js';
import { type DeviceTensor, device as deviceOf } from './device.js';
import type { OpsContext } from './ops.js';

/** Primitives on lists of scores and slots; they read nothing of the cache. */
export const createListOps = ({ device }: OpsContext): ListOps => {
  const { addon } = device;
  const choose = (predicate: Tensor, yes: Tensor, no: Tensor): DeviceTensor =>
    device.wrap(addon.chooseRows(deviceOf(predicate).id, deviceOf(yes).id, deviceOf(no).id), deviceOf(yes).dtype);
  return {
    choose,
    chooseLists(predicate, yes, no) {
      if (yes.scope !== no.scope)
        throw new WinnowError('ERR_CONTRACT', 'ops.chooseLists', `lists of one scope (${yes.scope})`, no.scope);
      const flat = (lens: Tensor): DeviceTensor => device.reshape(deviceOf(lens), [...lens.shape, 1]);
      const lens = choose(predicate, flat(yes.lens), flat(no.lens));
      return ragged(yes.scope, choose(predicate, yes.values, no.values), device.reshape(lens, yes.lens.shape));
    },
    constant(values, shape, dtype = 'f32') {
      const size = shape.reduce((a, b) => a * b, 1);
      if (values.length !== size)
        throw new WinnowError('ERR_SHAPE', 'ops.constant', `${size} values for [${shape.join(', ')}]`, values.length);
      const out = device.tensor(dtype, shape);
      addon.upload(out.id, dtype === 'f32' ? Float32Array.from(values) : Int32Array.from(values));
      return out;
    },
    softmax: (x) => device.wrap(addon.softmaxLists(deviceOf(x).id), 'f32'),
    entropy: (weights) => device.wrap(addon.entropyLists(deviceOf(weights).id), 'f32'),
    argmax: (x) => device.wrap(addon.argmaxLists(deviceOf(x).id), 'i32'),
    topP(weights, mass, how) {
      const [indices, lens] = addon.topP(deviceOf(weights).id, mass, how.sinks, how.recents);
      return ragged(how.scope, device.wrap(indices, 'i32'), device.wrap(lens, 'i32'));
    },
    stack(tensors) {
      const [first] = tensors;
      const [rows = 0, n = 0] = first!.shape;
      const out = device.tensor(first!.dtype, [rows * tensors.length, n]);
      tensors.forEach((t, layer) => {
        for (let row = 0; row < rows; row++)
          addon.copyRows(deviceOf(t).id, row, out.id, row * tensors.length + layer, 1);
      });
      return device.reshape(out, [rows, tensors.length, n]);
    },
    layerOf(stacked, index) {
      const [rows = 0, layers = 0, n = 0] = stacked.shape;
      const flat = device.reshape(deviceOf(stacked), [rows * layers, n]);
      const out = device.tensor(stacked.dtype, [rows, n]);
      for (let row = 0; row < rows; row++) addon.copyRows(flat.id, row * layers + index, out.id, row, 1);
      return out;
    },
    without(scores, lists) {
      const values = deviceOf(lists.values);
      const all = device.repeat(deviceOf(scores), scores.shape[0] === 1 ? values.shape[0]! : 1);
      return device.wrap(addon.maskLists(all.id, values.id, deviceOf(lists.lens).id), 'f32');
    },
    plus: (counts, perRow) => device.wrap(addon.addToRows(deviceOf(counts).id, Int32Array.from(perRow)), 'i32'),
    take(values, index) {
      const from = deviceOf(values);
      return device.wrap(addon.takeLists(from.id, deviceOf(index).id), from.dtype);
    },
    complement(lists, slots) {
      const [values, named] = [deviceOf(lists.values), deviceOf(lists.lens)];
      const [rows = 1, count = 1] = values.shape;
      const wholes = Int32Array.from({ length: rows * count }, (_, i) => {
        const row = slots.rows === 1 ? 0 : Math.floor(i / count);
        return slots.lens[row * slots.numKvHeads + (count === 1 ? 0 : i % count)]!;
      });
      const [indices, lens] = addon.complementLists(values.id, named.id, wholes);
      return ragged(lists.scope, device.wrap(indices, 'i32'), device.wrap(lens, 'i32'));
    },
  };
};

const ragged = (scope: Scope, values: DeviceTensor, lens: DeviceTensor): Ragged => ({
  scope,
  values,
  lens,
  maxLen: values.shape[2] ?? 0,
});
