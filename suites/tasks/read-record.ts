import type { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import type { DatasetFile } from '../../datasets/index.js';
import { checkData, formatPath } from '../schema-problem.js';

/** Record `index` of a file, checked. Throws: ERR_DATASET_FORMAT that names file, line and field. */
export const readRecord = <T>(file: DatasetFile, index: number, schema: z.ZodType<T>): T => {
  const fix = `It is not in the layout of ${file.dataset}: winnow datasets verify ${file.dataset}`;
  return checkRecord(schema, file.record(index), file.where(index), fix);
};

/** Throws ERR_DATASET_FORMAT with `where` and the field; `fix` where the schema has no better one. */
export const checkRecord = <T>(
  schema: z.ZodType<T>,
  data: unknown,
  where: string,
  fix = 'Fetch the file again, or correct the record.',
): T => {
  const checked = checkData(schema, data);
  if ('value' in checked) return checked.value;
  const { path, expected, actual, fix: better } = checked.problem;
  const field = formatPath(path);
  throw new WinnowError(
    'ERR_DATASET_FORMAT',
    field === '' ? where : `${where} ${field}`,
    expected,
    typeof actual === 'string' && actual.length > 80 ? `${actual.slice(0, 80)}…` : actual,
    better ?? fix,
  );
};
