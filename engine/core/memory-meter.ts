import type { Addon } from '../../native/addon-types.js';

/** Bytes of weights, tensors, workspaces and KV pages, where the ops run. */
export interface MemoryMeter {
  held(): number;
  /** Held at once at most since `restart`; of the host, whose mark of tensors never falls, since the process began. */
  peak(): number;
  restart(): void;
}

export const memoryMeter = (addon: Addon): MemoryMeter => {
  const { deviceMeters } = addon;
  if (deviceMeters !== undefined)
    return {
      held: () => deviceMeters().bytes,
      peak: () => deviceMeters().peakBytes,
      restart: () => addon.resetDeviceMeters?.(),
    };
  const bytes = (tensors: 'tensorBytes' | 'tensorPeakBytes'): number => {
    const memory = addon.memory();
    return memory.weightBytes + memory.cacheBytes + memory[tensors];
  };
  return { held: () => bytes('tensorBytes'), peak: () => bytes('tensorPeakBytes'), restart: () => {} };
};
