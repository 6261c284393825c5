import { asWinnowError, WinnowError } from '../../core/errors.js';
import { mean, median } from '../../core/statistics.js';
import type { Addon, CacheId } from '../../native/addon-types.js';
import type { BatchTiming, BatchTimingRequest } from '../contract.js';
import type { TimedBatch } from '../timing-contract.js';
import { decode } from './decode.js';
import type { EvaluateContext } from './evaluate.js';
import { forkGroup, freeGroup, type Group } from './group.js';
import { largestBatch, type MeasuredRow, memoryLimit } from './largest-batch.js';
import { type MemoryMeter, memoryMeter } from './memory-meter.js';
import { failureStatus } from './outcome.js';
import { openTimed, type TimedSample } from './timed-sample.js';

/** Steps of a batch before the clock counts: shapes of a batch have plans, workspaces and graphs of their own. */
const WARM_STEPS = 4;

/**
 * Decode steps of equal rows after one prefill, for each size asked for. The first row shares the pages of the prompt's cache, which
 * nobody else reads; all others are copies in pages of their own, so that a step reads every row from memory. A size that cannot be
 * run is an answer, not an error.
 *
 * Throws: what `openTimed` throws, and ERR_INTERRUPTED.
 */
export const timeBatches = async (context: EvaluateContext, request: BatchTimingRequest): Promise<BatchTiming[]> => {
  const { addon } = context.model.device;
  const meter = memoryMeter(addon);
  meter.restart();
  const opened = await openTimed(context, request, WARM_STEPS + request.maxNewTokens);
  try {
    refuseUnlikeRows(opened.sample.groups[0]!);
    const run = (rows: number): TimedBatch => timeRows(addon, meter, opened, rows);
    const prefillPeak = meter.peak();
    const measured = once(() => measureRow(addon, meter, opened, prefillPeak, run));
    const fitting = (): { memoryBytes: number; rows: number } => {
      const memoryBytes = memoryLimit(addon, request.memoryBytes);
      return { memoryBytes, rows: largestBatch(memoryBytes, measured()) };
    };
    const hasLimit = request.memoryBytes !== undefined || addon.deviceFacts !== undefined;
    return request.sizes.map((asked): BatchTiming => {
      try {
        if (asked === 'largest') {
          const { memoryBytes, rows } = fitting();
          return { asked, status: 'ok', memoryBytes, ...runFitting(rows, memoryBytes, run) };
        }
        // Running a device out of memory would leave its pools torn for what comes after.
        if (asked > 1 && hasLimit) refuseMore(asked, fitting());
        return { asked, status: 'ok', ...run(asked) };
      } catch (thrown) {
        const { code, message } = asWinnowError(thrown, request.setting.key);
        if (code === 'ERR_INTERRUPTED' || code === 'ERR_INTERNAL') throw thrown;
        return { asked, status: failureStatus(code), error: { code, message } };
      }
    });
  } finally {
    opened.sample.close();
    // What the largest batch needed is not to be missing when the next prompt is read.
    addon.cacheTrim?.();
  }
};

const once = <T>(make: () => T): (() => T) => {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
};

const refuseMore = (asked: number, { memoryBytes, rows }: { memoryBytes: number; rows: number }): void => {
  if (asked <= rows) return;
  throw new WinnowError(
    'ERR_OUT_OF_MEMORY',
    `batch of ${asked}`,
    `at most the ${rows} rows that fit ${memoryBytes} bytes`,
    asked,
    'Take fewer, or state more with --memory.',
  );
};

const measureRow = (
  addon: Addon,
  meter: MemoryMeter,
  { sample }: TimedSample,
  prefillPeak: number,
  run: (rows: number) => TimedBatch,
): MeasuredRow => {
  // Workspaces that the first step makes are there once, not for each row.
  run(1);
  const held = meter.held();
  const copy = copyBytes(addon, meter, sample.groups[0]!.rows[0]!.cache);
  meter.restart();
  run(1);
  return { held, copy, growth: Math.max(0, meter.peak() - held), prefillPeak };
};

/** Bytes of a copy; infinite where there is no room for one. */
const copyBytes = (addon: Addon, meter: MemoryMeter, cache: CacheId): number => {
  const held = meter.held();
  try {
    const copy = addon.cacheCopy(cache);
    const bytes = meter.held() - held;
    addon.cacheFree(copy);
    return bytes;
  } catch (thrown) {
    if (asWinnowError(thrown, 'batch').code !== 'ERR_OUT_OF_MEMORY') throw thrown;
    return Number.POSITIVE_INFINITY;
  }
};

/** As many rows as were computed to fit; half of them where memory runs out all the same, and so on. */
const runFitting = (
  computed: number,
  memoryBytes: number,
  run: (rows: number) => TimedBatch,
): TimedBatch & Pick<TimedBatch, 'halvedFrom'> => {
  if (computed === 0) {
    throw new WinnowError(
      'ERR_OUT_OF_MEMORY',
      'largest batch',
      'memory for the prompt of one row beside the weights',
      `${memoryBytes} bytes`,
      'State more with --memory, or use a shorter context.',
    );
  }
  for (let rows = computed; ; rows = rows >> 1) {
    try {
      return { ...run(rows), ...(rows === computed ? {} : { halvedFrom: computed }) };
    } catch (thrown) {
      if (rows === 1 || asWinnowError(thrown, 'batch').code !== 'ERR_OUT_OF_MEMORY') throw thrown;
    }
  }
};

const timeRows = (
  addon: Addon,
  meter: MemoryMeter,
  { model, sample, tailIds, maxNewTokens }: TimedSample,
  rows: number,
): TimedBatch => {
  meter.restart();
  const group = batchOf(model, sample.groups[0]!, rows);
  const times: number[] = [];
  const reads: number[] = [];
  try {
    const job = { sample: { ...sample, groups: [group] }, tailIds, maxNewTokens, holdsStop: () => false };
    const [decoded] = decode(model, [job], {
      isStop: () => false,
      recallSteps: 0,
      onToken() {
        addon.synchronise?.();
        times.push(performance.now());
        reads.push(addon.deviceMeters?.().hostReads ?? 0);
      },
    });
    meter.held();
    for (const error of decoded!.failures.values()) throw error;
    // Rows are equal, and so are their names.
    const row = decoded!.rows.values().next().value!;
    const steps = times.slice(1).map((time, i) => time - times[i]!);
    const warm = Math.min(WARM_STEPS, steps.length - 1);
    const timed = steps.slice(warm);
    const meters = addon.deviceMeters?.();
    return {
      rows,
      stepMs: median(timed),
      meanStepMs: mean(timed),
      steps: timed.length,
      kvCacheBytes: rows * row.kvCacheBytes,
      kvBytesReadPerStep: rows * row.kvBytesReadPerStep,
      ...(meters === undefined
        ? {}
        : {
            peakDeviceBytes: meters.peakBytes,
            hostReadsPerStep: (reads.at(-1)! - reads[warm]!) / timed.length,
          }),
    };
  } finally {
    freeGroup(model, group);
  }
};

/** So many rows like the one of a group. */
const batchOf = (model: TimedSample['model'], group: Group, rows: number): Group => {
  const { addon } = model.device;
  const { cache } = group.rows[0]!;
  const caches: CacheId[] = [];
  try {
    caches.push(addon.cacheFork(cache));
    while (caches.length < rows) caches.push(addon.cacheCopy(cache));
    return forkGroup(model, group, { members: caches.map(() => 0), caches });
  } catch (thrown) {
    for (const made of caches) addon.cacheFree(made);
    throw thrown;
  }
};

const refuseUnlikeRows = ({ rows, companions, hooks }: Group): void => {
  const drafts = hooks().output?.draft !== undefined;
  if (companions.size === 0 && !drafts) return;
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    `batch of ${rows[0]!.key}`,
    'a method whose steps give every row one token',
    drafts ? 'one that drafts' : 'one with twin rows',
    'Its time is measured for one row only.',
  );
};
