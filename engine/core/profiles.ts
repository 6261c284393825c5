import { WinnowError } from '../../core/errors.js';
import type { Method, ModelFacts, Profile } from '../../methods/contract.js';
import { loadProfile, type ProfileData } from '../profile-file.js';
import type { Device, DeviceTensor } from './device.js';

/** Profiles of an open model: each file is read and uploaded once. */
export interface Profiles {
  open(path: string, method: Method, params: object): Profile;
  close(): void;
}

export const createProfiles = (device: Device, facts: ModelFacts): Profiles => {
  const opened = new Map<string, { readonly profile: Profile; readonly tensors: readonly DeviceTensor[] }>();
  return {
    open(path, method, params) {
      const name = JSON.stringify([path, method.id, params]);
      let known = opened.get(name);
      if (known === undefined) {
        known = upload(device, path, loadProfile(path, { facts, method: { id: method.id, params } }));
        opened.set(name, known);
      }
      return known.profile;
    },
    close() {
      for (const { tensors } of opened.values()) for (const t of tensors) device.free(t);
      opened.clear();
    },
  };
};

const upload = (device: Device, path: string, { header, tensors }: ProfileData) => {
  const onDevice = new Map<string, DeviceTensor>();
  for (const [name, { shape, values }] of tensors) {
    const t = device.lasting('f32', shape);
    device.addon.upload(t.id, values);
    onDevice.set(name, t);
  }
  const profile: Profile = {
    header,
    tensors: Object.fromEntries(onDevice),
    values(name) {
      const tensor = tensors.get(name);
      if (tensor === undefined)
        throw new WinnowError('ERR_MODEL_FORMAT', path, `a tensor ${name}`, [...tensors.keys()].join(', '));
      return tensor.values;
    },
  };
  return { profile, tensors: [...onDevice.values()] };
};
