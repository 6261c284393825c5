/** What tasks over datasets share: which record is the i-th sample, and files that may not be there. */
import { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import { createRandom } from '../../core/random.js';
import type { DatasetFile, OpenDataset } from '../../datasets/index.js';

export interface RecordsParams {
  /** Sample i is record i of the file, or of its records in an order drawn by the suite's seed: a few samples then stand for all. */
  readonly records: 'shuffled' | 'file';
}

export const RECORDS_FIELDS = { records: z.enum(['shuffled', 'file']).default('shuffled') };

/** The record of sample `index` among `size`. */
export const recordIndex = ({ records }: RecordsParams, size: number, seed: number, index: number): number =>
  records === 'file' ? index : shuffledIndexes(size, seed, 'records')[index]!;

export const shuffledIndexes = (size: number, ...seed: readonly (string | number)[]): number[] =>
  createRandom(...seed).shuffle(Array.from({ length: size }, (_, i) => i));

/** A file of a dataset that a task can do without; undefined when it was not pulled. Throws what else opening throws. */
export const openIfThere = (datasets: OpenDataset, id: string, name?: string): DatasetFile | undefined => {
  try {
    return datasets(id, name);
  } catch (error) {
    if (error instanceof WinnowError && error.code === 'ERR_MISSING') return undefined;
    throw error;
  }
};
