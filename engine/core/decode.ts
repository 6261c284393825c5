import type { WinnowError } from '../../core/errors.js';
import type { Sampling } from '../contract.js';
import type { DeviceTensor } from './device.js';
import type { Group } from './group.js';
import { headOffset } from './prefill.js';
import { expectedBytes, type Row } from './rows.js';
import type { ModelContext, OpenSample } from './sample.js';
import { drawToken } from './sampling.js';
import { runStep } from './step.js';

export interface DecodeRequest {
  /** Fed to every row after compression; empty: the first token follows from the prefill's logits. */
  readonly tailIds: Int32Array;
  readonly maxNewTokens: number;
  /** Whether generation of a row ends after this token; the token itself is not part of the answer. */
  isStop(token: number): boolean;
  /** Whether the text of these tokens holds a stop string. */
  holdsStop(tokens: readonly number[]): boolean;
  /** Steps over which selectors are held against the evidence. */
  readonly recallSteps: number;
  /** Draws tokens instead of taking the most likely one. */
  readonly sampling?: Sampling;
  /** After the question was fed and after each token, for timing. */
  onToken?(): void;
}

export interface DecodedRow {
  readonly tokenIds: readonly number[];
  readonly finishReason: 'stop' | 'length';
  readonly kvCacheBytes: number;
  readonly kvCacheBytesPeak: number;
  readonly expectedKvCacheBytes: number;
  readonly kvBytesReadPerStep: number;
  /** Evidence read by a selector; NaN when nothing selects. */
  readonly recallRead: number;
}

export interface Decoded {
  readonly rows: ReadonlyMap<string, DecodedRow>;
  /** Settings whose hooks threw in a step. */
  readonly failures: ReadonlyMap<string, WinnowError>;
}

interface Progress {
  tokens: number[];
  finish: 'stop' | 'length' | undefined;
  kvCacheBytes: number;
  kvCacheBytesPeak: number;
  expectedKvCacheBytes: number;
  bytesRead: number;
  steps: number;
  recallSum: number;
  recallSteps: number;
}

/**
 * Feeds the question where it comes after compression, then decodes all rows of all groups as one batch, greedily.
 * A row that is done is fed on (its results are ignored) until its group is done: rows do not touch one another.
 */
export const decode = (context: ModelContext, sample: OpenSample, request: DecodeRequest): Decoded => {
  const failures = new Map<string, WinnowError>();
  const fail = (failed: ReadonlyMap<Group, WinnowError>): void => {
    for (const [group, error] of failed) for (const row of group.rows) failures.set(row.key, error);
    groups = groups.filter((group) => !failed.has(group));
  };
  const progress = new Map<Row, Progress>();
  let groups = sample.groups;
  const next = new Map<Row, number>();

  if (groups.length === 0) return { rows: new Map(), failures };
  if (request.tailIds.length > 0) {
    const rows = groups.flatMap((group) => group.rows);
    const ids = new Int32Array(rows.length * request.tailIds.length);
    rows.forEach((_, r) => {
      ids.set(request.tailIds, r * request.tailIds.length);
    });
    const outcome = runStep(context, context.transformer, {
      groups,
      ids,
      queryLen: request.tailIds.length,
      phase: 'question',
      step: 0,
      logits: 'last',
      recall: false,
    });
    const chosen = choose(context, request.sampling, outcome.logits, rows, 0);
    rows.forEach((row, r) => {
      next.set(row, chosen[r]!);
    });
    fail(outcome.failures);
  } else {
    for (const group of groups)
      for (const row of group.rows)
        next.set(row, chooseHost(request.sampling, sample.firstLogits.get(row.key)!, row, 0));
  }
  request.onToken?.();
  for (const group of groups) {
    group.rows.forEach((row) => {
      const kvCacheBytes = residentBytes(context, group, row);
      progress.set(row, {
        tokens: [],
        finish: undefined,
        kvCacheBytes,
        kvCacheBytesPeak: kvCacheBytes,
        expectedKvCacheBytes:
          expectedBytes(row, context.shapes, context.elementBytes) + stateBytes(context, group, row),
        bytesRead: 0,
        steps: 0,
        recallSum: 0,
        recallSteps: 0,
      });
    });
  }

  for (let step = 1; ; step++) {
    for (const group of groups) for (const row of group.rows) take(progress.get(row)!, next.get(row)!, request);
    groups = groups.filter((group) => group.rows.some((row) => progress.get(row)!.finish === undefined));
    if (groups.length === 0) break;
    context.cancelled();
    const rows = groups.flatMap((group) => group.rows);
    const outcome = runStep(context, context.transformer, {
      groups,
      ids: Int32Array.from(rows, (row) => next.get(row)!),
      queryLen: 1,
      phase: 'answer',
      step,
      logits: 'last',
      recall: step <= request.recallSteps,
    });
    const chosen = choose(context, request.sampling, outcome.logits, rows, step);
    request.onToken?.();
    let r = 0;
    for (const group of groups) {
      for (const row of group.rows) {
        const { bytesRead, recall } = outcome.rows[r]!;
        next.set(row, chosen[r++]!);
        const at = progress.get(row)!;
        if (at.finish !== undefined) continue;
        at.bytesRead += bytesRead;
        at.steps++;
        if (!Number.isNaN(recall)) {
          at.recallSum += recall;
          at.recallSteps++;
        }
        at.kvCacheBytesPeak = Math.max(at.kvCacheBytesPeak, residentBytes(context, group, row));
      }
    }
    fail(outcome.failures);
  }

  const decoded = new Map<string, DecodedRow>();
  for (const [row, at] of progress) {
    if (failures.has(row.key)) continue;
    decoded.set(row.key, {
      tokenIds: at.tokens,
      finishReason: at.finish!,
      kvCacheBytes: at.kvCacheBytes,
      kvCacheBytesPeak: at.kvCacheBytesPeak,
      expectedKvCacheBytes: at.expectedKvCacheBytes,
      // An answer that ended with its first token took no step: a step would read what is resident.
      kvBytesReadPerStep: at.steps === 0 ? row.fullReadBytes : at.bytesRead / at.steps,
      recallRead: at.recallSteps === 0 ? Number.NaN : at.recallSum / at.recallSteps,
    });
  }
  return { rows: decoded, failures };
};

const take = (at: Progress, token: number, request: DecodeRequest): void => {
  if (at.finish !== undefined) return;
  if (request.isStop(token)) {
    at.finish = 'stop';
    return;
  }
  at.tokens.push(token);
  if (request.holdsStop(at.tokens)) at.finish = 'stop';
  else if (at.tokens.length >= request.maxNewTokens) at.finish = 'length';
};

export const residentBytes = (context: ModelContext, group: Group, row: Row): number =>
  context.device.addon.cacheBytes(row.cache) + stateBytes(context, group, row);

export const stateBytes = (context: ModelContext, group: Group, row: Row): number =>
  group.state.isEmpty
    ? 0
    : group.state.bytes(
        context.shapes.map((shape, layer) => {
          const offset = headOffset(context.shapes, layer);
          return row.slots.subarray(offset, offset + shape.numKvHeads);
        }),
      );

/** Next token of each row from logits f32 [rows, vocabSize]. */
const choose = (
  { device, facts }: ModelContext,
  sampling: Sampling | undefined,
  logits: DeviceTensor,
  rows: readonly Row[],
  step: number,
): Int32Array => {
  if (sampling === undefined)
    return device.scope(() => {
      const out = device.tensor('i32', [rows.length]);
      device.addon.argmax(logits.id, out.id);
      return device.addon.download(out.id) as Int32Array;
    });
  const all = device.addon.download(logits.id) as Float32Array;
  return Int32Array.from(rows, (row, r) =>
    chooseHost(sampling, all.subarray(r * facts.vocabSize, (r + 1) * facts.vocabSize), row, step),
  );
};

const chooseHost = (sampling: Sampling | undefined, logits: Float32Array, row: Row, step: number): number =>
  sampling === undefined ? argmaxHost(logits) : drawToken(logits, sampling, row.sequence.sampleSeed, step);

/** Ties go to the lower token id, as on the device. */
export const argmaxHost = (logits: Float32Array): number => {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
};
