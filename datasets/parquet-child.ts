/** The other side of `parquet.ts`: converts one file, tells what went wrong, ends. */
import { asWinnowError, type ErrorCode } from '../core/errors.js';
import { writeParquetLines } from './parquet-lines.js';

/** Sent once; nothing is sent where the process falls over. */
export type ParquetOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string };

const convert = async (path: string, target: string): Promise<ParquetOutcome> => {
  try {
    await writeParquetLines(path, target);
    return { kind: 'done' };
  } catch (error) {
    const { code, message } = asWinnowError(error, path);
    return { kind: 'failed', code, message };
  }
};

process.once('disconnect', () => process.exit(1));
const [path, target] = process.argv.slice(2);
const outcome = await convert(path!, target!);
process.send!(outcome, () => process.exit(0));
