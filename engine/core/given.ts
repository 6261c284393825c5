/** The next tokens of rows: chosen from logits, or given, and then what the model would have thought of them. */
import type { GivenMeasure, Sampling } from '../contract.js';
import { choose, chooseHost } from './choose.js';
import type { DecodeJob } from './decode.js';
import type { DeviceTensor } from './device.js';
import { logProbability } from './log-probability.js';
import type { Row } from './rows.js';
import type { ModelContext } from './sample.js';

/** The given tokens of a row, at least one, and what was seen at each: set again when a draft passes a token twice. */
export interface Given {
  readonly ids: Int32Array;
  readonly logProbabilities: Float64Array;
  /** What greedy decoding would have chosen. */
  readonly greedy: Int32Array;
}

/** `at` is the place of a token in its row's answer. */
export interface Picker {
  readonly givenTo: ReadonlyMap<Row, Given>;
  /** From logits f32 [rows, vocabSize]. */
  next(logits: DeviceTensor, rows: readonly Row[], at: number): Int32Array;
  /** From logits [vocabSize]. */
  one(logits: Float32Array, row: Row, at: number): number;
}

export const createPicker = (
  context: ModelContext,
  sampling: Sampling | undefined,
  jobs: readonly Pick<DecodeJob, 'sample' | 'given'>[],
): Picker => {
  const { device, facts } = context;
  const givenTo = new Map(
    jobs.flatMap(({ sample, given }) =>
      given === undefined
        ? []
        : sample.groups.flatMap((group) => group.rows.map((row) => [row, unseen(given)] as const)),
    ),
  );
  return {
    givenTo,
    next(logits, rows, at) {
      const chosen = choose(context, sampling, logits, rows, at);
      if (!rows.some((row) => givenTo.has(row))) return chosen;
      const all = device.addon.download(logits.id) as Float32Array;
      return chosen.map((token, r) => {
        const given = givenTo.get(rows[r]!);
        return given === undefined
          ? token
          : take(given, all.subarray(r * facts.vocabSize, (r + 1) * facts.vocabSize), at);
      });
    },
    one(logits, row, at) {
      const given = givenTo.get(row);
      return given === undefined ? chooseHost(sampling, logits, row, at) : take(given, logits, at);
    },
  };
};

const unseen = (ids: Int32Array): Given => ({
  ids,
  logProbabilities: new Float64Array(ids.length),
  greedy: new Int32Array(ids.length),
});

/** Behind the end a row is fed its last token on: it waits for others. */
const take = (given: Given, logits: Float32Array, at: number): number => {
  const token = given.ids[Math.min(at, given.ids.length - 1)]!;
  if (at >= given.ids.length) return token;
  const seen = logProbability(logits, token);
  given.logProbabilities[at] = Math.max(seen.logProbability, SMALLEST);
  given.greedy[at] = seen.greedy;
  return token;
};

/** Of a token that a method has ruled out: no record can hold minus infinity. */
const SMALLEST = Math.log(Number.MIN_VALUE);

export const measureOf = ({ ids, logProbabilities, greedy }: Given): GivenMeasure => ({
  tokens: ids.length,
  logProbability: logProbabilities.reduce((sum, value) => sum + value, 0),
  greedyTokens: greedy.filter((token, i) => token === ids[i]).length,
});
