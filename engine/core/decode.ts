import type { WinnowError } from '../../core/errors.js';
import type { Sampling } from '../contract.js';
import type { DeviceTensor } from './device.js';
import type { Group } from './group.js';
import { headOffset } from './prefill.js';
import { expectedBytes, type Row } from './rows.js';
import { type ModelContext, type OpenSample, partition } from './sample.js';
import { drawToken } from './sampling.js';
import { runStep } from './step.js';

/** The rows of one open sample in a decode batch. Samples may differ in prompt, question and length. */
export interface DecodeJob {
  readonly sample: OpenSample;
  /** Fed to every row of the sample after compression; empty: the first token follows from the prefill's logits. */
  readonly tailIds: Int32Array;
  readonly maxNewTokens: number;
  /** Whether the text of these tokens holds a stop string. */
  holdsStop(tokens: readonly number[]): boolean;
}

export interface DecodeRequest {
  /** Whether generation of a row ends after this token; the token itself is not part of the answer. */
  isStop(token: number): boolean;
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

/** What became of one job. */
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
 * Feeds the questions where they come after compression, then decodes all rows of all jobs as one batch, greedily.
 * A row that is done is fed on (its results are ignored) until its group is done: rows do not touch one another.
 */
export const decode = (context: ModelContext, jobs: readonly DecodeJob[], request: DecodeRequest): Decoded[] => {
  const failures = new Map<Group, WinnowError>();
  const fail = (failed: ReadonlyMap<Group, WinnowError>): void => {
    for (const [group, error] of failed) failures.set(group, error);
    groups = groups.filter((group) => !failed.has(group));
  };
  const progress = new Map<Row, Progress>();
  const jobOf = new Map(jobs.flatMap((job) => job.sample.groups.map((group) => [group, job] as const)));
  let groups = [...jobOf.keys()];
  const next = new Map<Row, number>();

  fail(feedTails(context, jobs, request.sampling, next));
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
    for (const group of groups)
      for (const row of group.rows) take(progress.get(row)!, next.get(row)!, request, jobOf.get(group)!);
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

  return jobs.map(({ sample }) => {
    const open = sample.groups.filter((group) => !failures.has(group)).flatMap((group) => group.rows);
    return {
      rows: new Map(open.map((row) => [row.key, decodedRow(row, progress.get(row)!)])),
      failures: new Map(
        sample.groups.flatMap((group) => {
          const error = failures.get(group);
          return error === undefined ? [] : group.rows.map((row) => [row.key, error] as const);
        }),
      ),
    };
  });
};

/** Chooses every row's first token. Questions of one length are one batch, so that nothing is padded. */
const feedTails = (
  context: ModelContext,
  jobs: readonly DecodeJob[],
  sampling: Sampling | undefined,
  next: Map<Row, number>,
): ReadonlyMap<Group, WinnowError> => {
  const failures = new Map<Group, WinnowError>();
  for (const alike of partition(jobs, (job) => `${job.tailIds.length}`)) {
    const queryLen = alike[0]!.tailIds.length;
    const groups = alike.flatMap((job) => job.sample.groups);
    if (groups.length === 0) continue;
    if (queryLen === 0) {
      for (const { sample } of alike)
        for (const group of sample.groups)
          for (const row of group.rows) next.set(row, chooseHost(sampling, sample.firstLogits.get(row.key)!, row, 0));
      continue;
    }
    const rows = alike.flatMap(({ sample, tailIds }) =>
      sample.groups.flatMap((group) => group.rows.map((row) => ({ row, tailIds }))),
    );
    const ids = new Int32Array(rows.length * queryLen);
    rows.forEach(({ tailIds }, r) => {
      ids.set(tailIds, r * queryLen);
    });
    const outcome = runStep(context, context.transformer, {
      groups,
      ids,
      queryLen,
      phase: 'question',
      step: 0,
      logits: 'last',
      recall: false,
    });
    const chosen = choose(
      context,
      sampling,
      outcome.logits,
      rows.map(({ row }) => row),
      0,
    );
    rows.forEach(({ row }, r) => {
      next.set(row, chosen[r]!);
    });
    for (const [group, error] of outcome.failures) failures.set(group, error);
  }
  return failures;
};

const decodedRow = (row: Row, at: Progress): DecodedRow => ({
  tokenIds: at.tokens,
  finishReason: at.finish!,
  kvCacheBytes: at.kvCacheBytes,
  kvCacheBytesPeak: at.kvCacheBytesPeak,
  expectedKvCacheBytes: at.expectedKvCacheBytes,
  // An answer that ended with its first token took no step: a step would read what is resident.
  kvBytesReadPerStep: at.steps === 0 ? row.fullReadBytes : at.bytesRead / at.steps,
  recallRead: at.recallSteps === 0 ? Number.NaN : at.recallSum / at.recallSteps,
});

const take = (at: Progress, token: number, request: DecodeRequest, job: DecodeJob): void => {
  if (at.finish !== undefined) return;
  if (request.isStop(token)) {
    at.finish = 'stop';
    return;
  }
  at.tokens.push(token);
  if (job.holdsStop(at.tokens)) at.finish = 'stop';
  else if (at.tokens.length >= job.maxNewTokens) at.finish = 'length';
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
