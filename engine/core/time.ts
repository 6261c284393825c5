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
  resetPeak();
  const started = performance.now();
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
          prefilled = performance.now();
        },
        compressed: () => {
          compressed = performance.now();
        },
      },
    },
    [resolved],
  );
  const tokens: number[] = [];
  try {
    for (const error of sample.failures.values()) throw error;
    const opened = performance.now();
    const job = {
      sample,
      tailIds: tailOf(prompt, request.protocol),
      maxNewTokens: request.maxNewTokens,
      holdsStop: () => false,
    };
    decode(model, [job], {
      isStop: () => false,
      recallSteps: 0,
      onToken: () => tokens.push(performance.now() - opened),
    });
  } finally {
    sample.close();
  }
  const first = tokens[0]!;
  return {
    prefillMs: prefilled - started,
    compressionMs: compressed - prefilled,
    timeToFirstTokenMs: compressed - started + first,
    decodeMsPerToken: tokens.length > 1 ? (tokens.at(-1)! - first) / (tokens.length - 1) : Number.NaN,
    generatedTokens: tokens.length,
    peakResidentBytes: peakResident(),
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
