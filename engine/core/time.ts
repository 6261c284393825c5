import { readFileSync, writeFileSync } from 'node:fs';
import type { TimingOutcome, TimingRequest } from '../contract.js';
import { decode } from './decode.js';
import type { EvaluateContext } from './evaluate.js';
import { openTimed } from './timed-sample.js';

/** One setting alone, with the clock running and nothing beside it. */
export const timeSample = async (context: EvaluateContext, request: TimingRequest): Promise<TimingOutcome> => {
  const { addon } = context.model.device;
  /** Milliseconds, once the device has done what it was asked. */
  const clock = (): number => {
    addon.synchronise?.();
    return performance.now();
  };
  let [started, prefilled, compressed] = [0, 0, 0];
  const { model, sample, tailIds } = await openTimed(context, request, request.maxNewTokens, {
    started: () => {
      resetPeak();
      started = prefilled = compressed = clock();
      addon.resetDeviceMeters?.();
    },
    prefilled: () => {
      prefilled = clock();
    },
    compressed: () => {
      compressed = clock();
    },
  });
  const tokens: number[] = [];
  const reads: number[] = [];
  try {
    const opened = clock();
    const job = { sample, tailIds, maxNewTokens: request.maxNewTokens, holdsStop: () => false };
    decode(model, [job], {
      isStop: () => false,
      recallSteps: 0,
      onToken() {
        tokens.push(clock() - opened);
        reads.push(addon.deviceMeters?.().hostReads ?? 0);
      },
    });
  } finally {
    sample.close();
  }
  const first = tokens[0]!;
  const meters = addon.deviceMeters?.();
  const perStep = (values: readonly number[]): number =>
    values.length > 1 ? (values.at(-1)! - values[0]!) / (values.length - 1) : Number.NaN;
  return {
    prefillMs: prefilled - started,
    compressionMs: compressed - prefilled,
    timeToFirstTokenMs: compressed - started + first,
    decodeMsPerToken: perStep(tokens),
    generatedTokens: tokens.length,
    peakResidentBytes: peakResident(),
    ...(meters === undefined ? {} : { peakDeviceBytes: meters.peakBytes, hostReadsPerStep: perStep(reads) }),
  };
};

/** Linux: the high-water mark of resident memory starts anew. Elsewhere the mark is of the whole process. */
const resetPeak = (): void => {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Not Linux, or not allowed: the peak then covers the process's life, which is what the record says it is.
  }
};
const peakResident = (): number => {
  try {
    const kilobytes = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    if (kilobytes !== undefined) return Number(kilobytes) * 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024;
};
