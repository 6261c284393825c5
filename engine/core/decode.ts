import type { WinnowError } from '../../core/errors.js';
import type { Sampling } from '../contract.js';
import { companionBytes } from './companions.js';
import { draftStep } from './draft.js';
import { concat } from './fed-prompt.js';
import { expectedResidentBytes, residentBytes } from './footprint.js';
import { createPicker, type Given, type Picker } from './given.js';
import type { Group } from './group.js';
import { editLogits } from './output.js';
import { type ReadyStep, stepPlain } from './plain-step.js';
import { bytesOutOfSight, type Row } from './rows.js';
import { answerContext, type ModelContext, type OpenSample, partition } from './sample.js';
import { runStep, type StepRow } from './step.js';

/** The rows of one open sample in a decode batch. Samples may differ in prompt, question and length. */
export interface DecodeJob {
  readonly sample: OpenSample;
  /** Fed to every row of the sample after compression; empty: the first token follows from the prefill's logits. */
  readonly tailIds: Int32Array;
  readonly maxNewTokens: number;
  /** `maxNewTokens` tokens fed as the answer instead of what the model would choose; none of them stops it. */
  readonly given?: Int32Array;
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
  /** Of methods with a second tier: bytes moved between it and the device. */
  readonly kvBytesMovedPerStep?: number;
  /** Evidence read by a selector; NaN when nothing selects. */
  readonly recallRead: number;
  readonly given?: Given;
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
  bytesMoved: number;
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
  const steps = answerContext(context);
  const progress = new Map<Row, Progress>();
  const jobOf = new Map(jobs.flatMap((job) => job.sample.groups.map((group) => [group, job] as const)));
  let groups = [...jobOf.keys()];
  const next = new Map<Row, number>();
  const picker = createPicker(context, request.sampling, jobs);

  fail(feedTails(context, jobs, picker, next));
  request.onToken?.();
  for (const group of groups) {
    group.rows.forEach((row) => {
      const kvCacheBytes = residentBytes(context, group, row);
      progress.set(row, {
        tokens: [],
        finish: undefined,
        kvCacheBytes,
        kvCacheBytesPeak: kvCacheBytes,
        expectedKvCacheBytes: expectedResidentBytes(context, group, row),
        bytesRead: 0,
        bytesMoved: 0,
        steps: 0,
        recallSum: 0,
        recallSteps: 0,
      });
    });
  }

  let ready: ReadyStep | undefined;
  for (let step = 1; ; step++) {
    for (const group of groups)
      for (const row of group.rows) take(progress.get(row)!, next.get(row)!, request, jobOf.get(group)!);
    groups = groups.filter((group) => group.rows.some((row) => progress.get(row)!.finish === undefined));
    if (groups.length === 0) break;
    context.cancelled();
    const plain = groups.filter((group) => !drafts(group));
    const tokens = (group: Group, r: number): Int32Array => {
      const row = group.rows[r]!;
      return concat(jobOf.get(group)!.sample.promptIds, Int32Array.from(progress.get(row)!.tokens));
    };
    const failed = new Map<Group, WinnowError>();
    const book = (group: Group, row: Row, read: Pick<StepRow, 'bytesRead' | 'bytesMoved' | 'recall'>): void => {
      const at = progress.get(row)!;
      if (at.finish !== undefined) return;
      at.bytesRead += read.bytesRead + companionBytes(context, group, row);
      at.bytesMoved += read.bytesMoved;
      at.steps++;
      if (!Number.isNaN(read.recall)) {
        at.recallSum += read.recall;
        at.recallSteps++;
      }
      at.kvCacheBytesPeak = Math.max(at.kvCacheBytesPeak, residentBytes(context, group, row));
    };
    for (const group of groups.filter(drafts)) {
      const row = group.rows[0]!;
      const at = progress.get(row)!;
      const job = jobOf.get(group)!;
      const outcome = draftStep(steps, {
        group,
        pending: next.get(row)!,
        maxDepth: job.maxNewTokens - at.tokens.length - 1,
        step,
        recall: step <= request.recallSteps,
        tokens,
        choose: (logits, depth) => picker.one(logits, row, at.tokens.length + depth),
      });
      book(group, row, outcome);
      for (const token of outcome.tokens.slice(0, -1)) take(at, token, request, job);
      next.set(row, outcome.tokens.at(-1)!);
      if (outcome.failure !== undefined) failed.set(group, outcome.failure);
    }
    if (plain.length > 0) ready = stepPlain(steps, plain, ready, { step, next, request, tokens, book, failed, picker });
    request.onToken?.();
    fail(failed);
  }

  return jobs.map(({ sample }) => {
    const open = sample.groups.filter((group) => !failures.has(group)).flatMap((group) => group.rows);
    return {
      rows: new Map(
        open.map((row) => [row.key, decodedRow(context, row, progress.get(row)!, picker.givenTo.get(row))]),
      ),
      failures: new Map(
        sample.groups.flatMap((group) => {
          const error = failures.get(group);
          return error === undefined ? [] : group.rows.map((row) => [row.key, error] as const);
        }),
      ),
    };
  });
};

const drafts = (group: Group): boolean => group.hooks().output?.draft !== undefined;

/** Chooses every row's first token. Questions of one length are one batch, so that nothing is padded. */
const feedTails = (
  context: ModelContext,
  jobs: readonly DecodeJob[],
  picker: Picker,
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
          for (const row of group.rows) next.set(row, picker.one(sample.firstLogits.get(row.key)!, row, 0));
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
    for (const [group, error] of outcome.failures) failures.set(group, error);
    const promptOf = new Map(alike.flatMap(({ sample }) => sample.groups.map((group) => [group, sample.promptIds])));
    const chosen = context.device.scope(() => {
      const moment = { phase: 'question' as const, step: 0, queryLen, tokens: (group: Group) => promptOf.get(group)! };
      const edited = editLogits(context, { ...moment, groups, logits: outcome.logits }, failures);
      return picker.next(
        edited,
        rows.map(({ row }) => row),
        0,
      );
    });
    rows.forEach(({ row }, r) => {
      next.set(row, chosen[r]!);
    });
  }
  return failures;
};

const decodedRow = (context: ModelContext, row: Row, at: Progress, given: Given | undefined): DecodedRow => ({
  ...(given === undefined ? {} : { given }),
  tokenIds: at.tokens,
  finishReason: at.finish!,
  kvCacheBytes: at.kvCacheBytes,
  kvCacheBytesPeak: at.kvCacheBytesPeak,
  expectedKvCacheBytes: at.expectedKvCacheBytes,
  // An answer that ended with its first token took no step: a step would read what is resident.
  kvBytesReadPerStep:
    at.steps === 0
      ? row.fullReadBytes - bytesOutOfSight(row, context.shapes, context.elementBytes)
      : at.bytesRead / at.steps,
  ...(row.resolved.declaration.layout.tier && at.steps > 0 ? { kvBytesMovedPerStep: at.bytesMoved / at.steps } : {}),
  recallRead: at.recallSteps === 0 ? Number.NaN : at.recallSum / at.recallSteps,
});

const take = (at: Progress, token: number, request: DecodeRequest, job: DecodeJob): void => {
  if (at.finish !== undefined) return;
  if (job.given === undefined && request.isStop(token)) {
    at.finish = 'stop';
    return;
  }
  at.tokens.push(token);
  if (job.given === undefined && job.holdsStop(at.tokens)) at.finish = 'stop';
  else if (at.tokens.length >= job.maxNewTokens) at.finish = 'length';
};
