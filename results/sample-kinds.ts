import { mean, withoutNoise } from '../core/statistics.js';
import type { SampleRecord, ScoredSample } from './schema.js';

/** Facts of samples (`meta`) by which published results are split, with what a table calls them. */
export const SAMPLE_KINDS: Readonly<Record<string, string>> = {
  bucket: 'length of the record in words',
  lengthClass: 'length class',
  difficulty: 'difficulty',
  questionType: 'question type',
  answerable: 'whether there is an answer',
};

/** Of the samples of one kind. */
export interface KindMean {
  readonly score: number;
  readonly samples: number;
}

const scoredOf = (samples: readonly SampleRecord[]): ScoredSample[] =>
  samples.flatMap((sample) => (sample.status === 'ok' ? [sample] : []));

/** Mean score of a cell by the value of one fact of its samples, in the order of the values; undefined where fewer than two values come. */
export const meansByKind = (
  samples: readonly SampleRecord[],
  kind: string,
): ReadonlyMap<string, KindMean> | undefined => {
  const scores = new Map<string, number[]>();
  for (const { meta, score } of scoredOf(samples)) {
    const value = meta?.[kind];
    if (value !== undefined) scores.set(String(value), [...(scores.get(String(value)) ?? []), score]);
  }
  if (scores.size < 2) return undefined;
  const sorted = [...scores].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }));
  return new Map(sorted.map(([value, of]) => [value, { score: withoutNoise(mean(of)), samples: of.length }]));
};

/** Whose word an answer takes where the context contradicts what a model knows. */
export interface MemoryAnswers {
  readonly fromContext: number;
  readonly fromMemory: number;
  readonly neither: number;
}

const plainText = (text: string): string => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ' ');

/**
 * Counts over the samples whose context contradicts a known fact (`meta.contradicts`, `meta.prior`); undefined where none does. From
 * memory: not right, and the known value is named, so that it is named first.
 */
export const memoryAnswers = (samples: readonly SampleRecord[]): MemoryAnswers | undefined => {
  const contradicted = scoredOf(samples).filter(({ meta }) => meta?.contradicts === true && meta.prior !== undefined);
  if (contradicted.length === 0) return undefined;
  const wrong = contradicted.filter(({ score }) => score < 1);
  const recalled = wrong.filter(({ prediction, meta }) =>
    plainText(prediction).includes(plainText(String(meta!.prior)).trim()),
  );
  return {
    fromContext: contradicted.length - wrong.length,
    fromMemory: recalled.length,
    neither: wrong.length - recalled.length,
  };
};
