import { openCheckpoint } from '../engine/checkpoint.js';
import { parameterCount } from '../engine/random-model.js';
import type { DeviceState } from '../native/addon-types.js';
import { loadCudaAddon } from '../native/cuda-addon.js';
import type { DeviceWatch } from '../suites/run-timing.js';

/** Clocks, temperature and power around a timing pass of the cuda backend, and the copy bandwidth of its device. */
export const watchCuda = (modelPath: string): DeviceWatch => {
  const addon = loadCudaAddon();
  const weightBytesPerStep = stepWeightBytes(modelPath);
  let copyGigabytesPerSecond: number | undefined;
  /** Undefined where the device tells nothing. */
  const state = (): DeviceState | undefined => {
    const told = addon.deviceState?.() ?? {};
    return Object.keys(told).length === 0 ? undefined : told;
  };
  return {
    state,
    begin() {
      copyGigabytesPerSecond ??= addon.deviceCopyBandwidth?.();
      const before = state();
      return {
        after() {
          const after = state();
          return {
            weightBytesPerStep,
            ...(copyGigabytesPerSecond === undefined ? {} : { copyGigabytesPerSecond }),
            ...(before === undefined ? {} : { before }),
            ...(after === undefined ? {} : { after }),
          };
        },
      };
    },
  };
};

/** Weights are bf16 on the device; of an embedding that is not the head too, a step reads one row. */
const stepWeightBytes = (modelPath: string): number => {
  const checkpoint = openCheckpoint(modelPath);
  try {
    const { config } = checkpoint;
    return 2 * (parameterCount(config) - (config.tiedEmbeddings ? 0 : config.vocabSize * config.hiddenSize));
  } finally {
    checkpoint.close();
  }
};
