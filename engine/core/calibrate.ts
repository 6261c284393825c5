import { WinnowError } from '../../core/errors.js';
import type { Calibration, RowFacts } from '../../methods/contract.js';
import type { CalibrateRequest } from '../contract.js';
import {
  type ProfileData,
  type ProfileHeader,
  type ProfileTensor,
  profileHeader,
  saveProfile,
} from '../profile-file.js';
import { device as deviceOf } from './device.js';
import type { EvaluateContext } from './evaluate.js';
import { passOver, passView } from './fork.js';
import type { ModelContext } from './sample.js';
import { bindMethod } from './settings.js';

/** Runs a method's calibration over texts and writes the profile. Throws ERR_UNSUPPORTED for a method that calibrates nothing. */
export const calibrate = async (
  { model, text, resolve }: EvaluateContext,
  request: CalibrateRequest,
): Promise<ProfileHeader> => {
  const { method, params } = await bindMethod(request.method, resolve);
  const budget = { tokens: 1, fraction: 1, contextTokens: 1, covers: method.covers ?? 'context' } as const;
  const hooks = method.hooks({ params, budget, protocol: 'query-agnostic' }, model.facts);
  if (hooks.calibrate === undefined)
    throw new WinnowError('ERR_UNSUPPORTED', method.id, 'a method with a calibration', 'one without');
  const { device } = model;
  const scope = device.addon.openScope();
  try {
    const made = await hooks.calibrate(runOf(model, text.encode, request));
    const tensors = new Map<string, ProfileTensor>();
    for (const [name, tensor] of Object.entries(made.tensors)) {
      const values = device.addon.download(deviceOf(tensor).id);
      if (!(values instanceof Float32Array))
        throw new WinnowError('ERR_CONTRACT', `${method.id}.calibrate.${name}`, 'an f32 tensor', tensor.dtype);
      tensors.set(name, { shape: tensor.shape, values: values.slice() });
    }
    const use = { facts: model.facts, method: { id: method.id, params } };
    const data: ProfileData = { header: profileHeader(use, request, made.header), tensors };
    saveProfile(request.out, data);
    return data.header;
  } finally {
    device.addon.closeScope(scope);
  }
};

const runOf = (
  context: ModelContext,
  encode: (text: string) => Int32Array,
  { texts, seed }: CalibrateRequest,
): Calibration => {
  const { device, transformer } = context;
  const { addon } = device;
  return {
    texts,
    seed,
    tokens: encode,
    async forward(tokenIds, onLayer) {
      const cache = transformer.newCache();
      const scope = addon.openScope();
      try {
        passOver(context, { caches: [cache], starts: [0], tokenIds }, (layer, q, queryLen) =>
          onLayer(
            passView(context, {
              where: 'calibration',
              caches: [cache],
              layer,
              queryLen,
              q,
              rows: rowOf(tokenIds, seed),
              state: noState,
              bill: () => {},
            }),
          ),
        );
      } finally {
        addon.closeScope(scope);
        addon.cacheFree(cache);
      }
    },
    toHost: (tensor) => addon.download(deviceOf(tensor).id).slice(),
    fromHost(shape, values) {
      const t = device.tensor('f32', shape);
      addon.upload(t.id, values);
      return t;
    },
  };
};

const rowOf = (tokenIds: Int32Array, seed: number): RowFacts => ({
  count: 1,
  budgets: [{ tokens: tokenIds.length, fraction: 1, contextTokens: tokenIds.length, covers: 'context' }],
  sequences: [{ sampleSeed: seed, length: tokenIds.length, contextLength: tokenIds.length, tokenIds }],
});

const refuseState = (name: string): never => {
  throw new WinnowError('ERR_CONTRACT', `calibration.state.${name}`, 'no state in a calibration', name);
};
const noState = { read: refuseState, write: refuseState, append: refuseState };
