import type { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import type { DatasetFile } from '../../datasets/index.js';
import { checkData, formatPath } from '../schema-problem.js';

/** Record `index` of a file, checked. Throws: ERR_DATASET_FORMAT that names file, line and field. */
export const readRecord = <T>(file: DatasetFile, index: number, schema: z.ZodType<T>): T => {
  const checked = checkData(schema, file.record(index));
  if ('value' in checked) return checked.value;
  const { path, expected, actual } = checked.problem;
  throw new WinnowError(
    'ERR_DATASET_FORMAT',
    `${file.where(index)} ${formatPath(path)}`.trim(),
    expected,
    actual,
    `It is not in the layout of ${file.dataset}: winnow datasets verify ${file.dataset}`,
  );
};
