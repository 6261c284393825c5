import { openCheckpoint } from '../engine/checkpoint.js';
import { parameterCount } from '../engine/random-model.js';
import { loadCudaAddon } from '../native/cuda-addon.js';
import type { DeviceWatch } from '../suites/run-timing.js';

/** Clocks, temperature and power around a timing pass of the cuda backend, and the copy bandwidth of its device. */
export const watchCuda = (modelPath: string): DeviceWatch => {
  const addon = loadCudaAddon();
  const weightBytesPerStep = stepWeightBytes(modelPath);
  let copyGigabytesPerSecond: number | undefined;
  return {
    state: () => addon.deviceState?.(),
    begin() {
      copyGigabytesPerSecond ??= addon.deviceCopyBandwidth?.();
      const before = addon.deviceState?.();
      return {
        after() {
          const after = addon.deviceState?.();
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
