import type { Addon } from '../../native/addon-types.js';

/** Bytes of weights, tensors, workspaces and KV pages, where the ops run. */
export interface MemoryMeter {
  held(): number;
  /** Held at once, at most, since `restart`; of the host as far as `held` was asked or the process's mark of tensors was raised. */
  peak(): number;
  restart(): void;
}

export const memoryMeter = (addon: Addon): MemoryMeter =>
  addon.deviceMeters === undefined
    ? hostMeter(addon)
    : {
        held: () => addon.deviceMeters!().bytes,
        peak: () => addon.deviceMeters!().peakBytes,
        restart: () => addon.resetDeviceMeters?.(),
      };

const hostMeter = (addon: Addon): MemoryMeter => {
  let seen = 0;
  let tensorMark = addon.memory().tensorPeakBytes;
  const held = (): number => {
    const { weightBytes, tensorBytes, cacheBytes } = addon.memory();
    const bytes = weightBytes + tensorBytes + cacheBytes;
    seen = Math.max(seen, bytes);
    return bytes;
  };
  return {
    held,
    peak() {
      held();
      const { weightBytes, tensorPeakBytes, cacheBytes } = addon.memory();
      return Math.max(seen, tensorPeakBytes > tensorMark ? weightBytes + tensorPeakBytes + cacheBytes : 0);
    },
    restart() {
      seen = 0;
      tensorMark = addon.memory().tensorPeakBytes;
    },
  };
};
