/** Records of the files of a retrieval folder, and what is wrong with them. */
import { WinnowError } from '../../core/errors.js';
import { openRecords } from '../../datasets/records.js';

/** Records of a JSON Lines file as objects. */
export const recordsOf = (file: string): { record: Readonly<Record<string, unknown>>; where: string }[] => {
  const records = openRecords(file, { format: 'jsonl' });
  return Array.from({ length: records.size }, (_, i) => {
    const record = records.record(i);
    const where = `${file}:${records.line(i)}`;
    if (typeof record !== 'object' || record === null || Array.isArray(record))
      throw broken(where, 'an object', typeof record);
    return { record: record as Record<string, unknown>, where };
  });
};

/** What is wrong with a file of the folder. */
export const broken = (
  where: string,
  expected: string,
  actual: unknown,
  fix = 'See docs/suites.md for the layouts.',
): WinnowError => new WinnowError('ERR_DATASET_FORMAT', where, expected, actual, fix);
