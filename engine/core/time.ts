import { readFileSync, writeFileSync } from 'node:fs';
import { WinnowError } from '../../core/errors.js';
import type { TimingOutcome, TimingRequest } from '../contract.js';
import { companionPrompts } from './companions.js';
import { contextParts } from './context-parts.js';
import { decode } from './decode.js';
import type { EvaluateContext } from './evaluate.js';
import { QUERY_AWARE_TAIL, tailOf } from './fed-prompt.js';
import { openSample } from './sample.js';
import { bindMethod, resolveSetting } from './settings.js';

/** One setting alone, with the clock running and nothing beside it. */
export const timeSample = async (context: EvaluateContext, request: TimingRequest): Promise<TimingOutcome> => {
  const { text } = context;
  const prompt = { ...text.prepare(request.prompt), tailTokens: QUERY_AWARE_TAIL };
  const bound = await bindMethod(request.setting.method, context.resolve, context.profiles);
  const resolved = resolveSetting(
    request.setting,
    bound,
    context.model.facts,
    request.protocol,
    prompt.contextIds.length,
  );
  if (resolved.hooks().prompt !== undefined) {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      request.setting.key,
      'a method without a prompt hook',
      'a prompt method',
      'Its time is not measured yet.',
    );
  }
  const { addon } = context.model.device;
  /** Milliseconds, once the device has done what it was asked. */
  const clock = (): number => {
    addon.synchronise?.();
    return performance.now();
  };
  resetPeak();
  const started = clock();
  addon.resetDeviceMeters?.();
  let prefilled = started;
  let compressed = started;
  const model = context.model.convert(resolved);
  const sample = await openSample(
    model,
    {
      prompt,
      protocol: request.protocol,
      sampleSeed: request.seed,
      maxNewTokens: request.maxNewTokens,
      standAlone: true,
      parts: contextParts(request.prompt, prompt),
      companions: (asking) => companionPrompts(request.prompt, text.prepare, asking),
      watch: {
        prefilled: () => {
          prefilled = clock();
        },
        compressed: () => {
          compressed = clock();
        },
      },
    },
    [resolved],
  );
  const tokens: number[] = [];
  const reads: number[] = [];
  try {
    for (const error of sample.failures.values()) throw error;
    const opened = clock();
    const job = {
      sample,
      tailIds: tailOf(prompt, request.protocol),
      maxNewTokens: request.maxNewTokens,
      holdsStop: () => false,
    };
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
