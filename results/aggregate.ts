import { mean, withoutNoise } from '../core/statistics.js';
import type { Bootstrap, Estimate } from '../core/statistics-bootstrap.js';
import type { CellAggregates, CellRecord, SampleRecord, ScoredSample } from './schema.js';

/** The bootstrap of every interval in a run; written into run.json. */
export const intervalStatistics = { interval: 'BCa bootstrap', level: 0.95, draws: 10_000, seed: 20_251 } as const;

export type CellOutcome = Pick<CellRecord, 'status' | 'error' | 'n' | 'aggregates'>;

/**
 * What the samples of a cell say together. A cell with any failed sample takes the worst status and the error of its first such sample,
 * and has no aggregates. A quantity that no sample measured is absent, never 0.
 */
export const aggregateCell = (samples: readonly SampleRecord[], bootstrap: Bootstrap): CellOutcome => {
  const ordered = [...samples].sort((a, b) => a.index - b.index);
  const scored = ordered.filter(isScored);
  for (const status of ['failed', 'out-of-memory', 'unsupported'] as const) {
    const failures = ordered.filter((sample) => sample.status === status);
    const [first] = failures;
    if (first === undefined || first.status === 'ok') continue;
    const message = `${first.error.message} (sample ${first.sampleId}; ${failures.length} of ${ordered.length} samples)`;
    return { status, error: { code: first.error.code, message }, n: scored.length };
  }
  if (scored.length === 0) return { status: 'failed', error: { code: 'ERR_RECORD', message: 'no samples' }, n: 0 };
  return { status: 'ok', n: scored.length, aggregates: aggregatesOf(scored, bootstrap) };
};

const aggregatesOf = (samples: readonly ScoredSample[], bootstrap: Bootstrap): CellAggregates => {
  const average = (read: (sample: ScoredSample) => number): number => withoutNoise(mean(samples.map(read)));
  const score = bootstrap.meanOf(
    samples.map((sample) => sample.score),
    { low: 0, high: 1 },
  );
  const recalls = samples.map((sample) => sample.evidenceRecall).filter((recall) => recall !== undefined);
  const moved = samples.map((sample) => sample.kvBytesMovedPerStep).filter((bytes) => bytes !== undefined);
  return {
    score: score.mean,
    scoreLow: score.low,
    scoreHigh: score.high,
    ...(recalls.length === 0 ? {} : { evidenceRecall: withoutNoise(mean(recalls)) }),
    density: average((sample) => sample.density),
    kvCacheBytes: average((sample) => sample.kvCacheBytes),
    kvBytesReadPerStep: average((sample) => sample.kvBytesReadPerStep),
    ...(moved.length === 0 ? {} : { kvBytesMovedPerStep: withoutNoise(mean(moved)) }),
    promptTokens: average((sample) => sample.promptTokens),
    ...promptLengths(samples),
    contextTokens: average((sample) => sample.contextTokens),
    generatedTokens: average((sample) => sample.generatedTokens),
    auxiliaryTokens: average((sample) => sample.auxiliaryTokens),
    indexBytes: average((sample) => sample.indexBytes),
  };
};

/** What the prompts of a cell really had, and what was taken out of their middle. */
const promptLengths = (samples: readonly ScoredSample[]) => {
  const tokens = samples.map((sample) => sample.promptTokens).sort((a, b) => a - b);
  const truncated = samples
    .map(({ meta }) => meta?.truncatedTokens)
    .filter((count): count is number => typeof count === 'number' && count > 0)
    .sort((a, b) => a - b);
  return {
    promptTokensMin: tokens[0]!,
    promptTokensMedian: median(tokens),
    promptTokensMax: tokens.at(-1)!,
    truncatedSamples: truncated.length,
    ...(truncated.length === 0 ? {} : { truncatedTokensMedian: median(truncated) }),
  };
};

const median = (sorted: readonly number[]): number =>
  (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;

/** Score differences `ours - theirs` over the samples that both scored, in sample order. */
export const pairedDifferences = (ours: readonly SampleRecord[], theirs: readonly SampleRecord[]): number[] => {
  const scores = new Map(theirs.filter(isScored).map((sample) => [sample.sampleId, sample.score]));
  return [...ours]
    .sort((a, b) => a.index - b.index)
    .filter(isScored)
    .flatMap((sample) => {
      const other = scores.get(sample.sampleId);
      return other === undefined ? [] : [sample.score - other];
    });
};

/** Mean paired difference with its interval; undefined when the two share no scored sample. */
export const pairedDifference = (
  ours: readonly SampleRecord[],
  theirs: readonly SampleRecord[],
  bootstrap: Bootstrap,
): Estimate | undefined => {
  const differences = pairedDifferences(ours, theirs);
  return differences.length === 0 ? undefined : bootstrap.meanOf(differences, { low: -1, high: 1 });
};

const isScored = (sample: SampleRecord): sample is ScoredSample => sample.status === 'ok';
