import type { Sampling } from '../contract.js';
import type { DeviceTensor } from './device.js';
import type { Row } from './rows.js';
import type { ModelContext } from './sample.js';
import { drawToken } from './sampling.js';

/** Next token of each row from logits f32 [rows, vocabSize]. */
export const choose = (
  { device, facts }: ModelContext,
  sampling: Sampling | undefined,
  logits: DeviceTensor,
  rows: readonly Row[],
  step: number,
): Int32Array => {
  if (sampling === undefined)
    return device.scope(() => {
      const out = device.empty('i32', [rows.length]);
      device.addon.argmax(logits.id, out.id);
      return device.addon.download(out.id) as Int32Array;
    });
  const all = device.addon.download(logits.id) as Float32Array;
  return Int32Array.from(rows, (row, r) =>
    chooseHost(sampling, all.subarray(r * facts.vocabSize, (r + 1) * facts.vocabSize), row, step),
  );
};

export const chooseHost = (sampling: Sampling | undefined, logits: Float32Array, row: Row, step: number): number =>
  sampling === undefined ? argmaxHost(logits) : drawToken(logits, sampling, row.sequence.sampleSeed, step);

/** Ties go to the lower token id, as on the device. */
export const argmaxHost = (logits: Float32Array): number => {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
};
