/** Parquet files become JSON Lines once, when they are pulled: tasks read records one by one and at once. */
import { fork } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { reviveError, WinnowError } from '../core/errors.js';
import type { ParquetOutcome } from './parquet-child.js';
import { damaged } from './record-places.js';

/** Room for a thousand of the longest records that the datasets have. */
const heapMegabytes = 4_096;

const child = fileURLToPath(new URL('parquet-child.mjs', import.meta.url));

/**
 * Runs in a process of its own, with a limit of its heap: pages may claim sizes and repeats for which V8 has no exception but ends the
 * process. `target` is not there after an error. Throws: ERR_DATASET_FORMAT, ERR_DISK, ERR_INTERRUPTED.
 */
export const parquetToLines = async (path: string, target: string): Promise<void> => {
  try {
    await converted(path, target);
  } catch (error) {
    rmSync(target, { force: true });
    throw error;
  }
};

const converted = (path: string, target: string): Promise<void> =>
  new Promise((resolve, reject) => {
    // What V8 prints before it ends a process is of no use to a user.
    const process = fork(child, [path, target], {
      execArgv: [`--max-old-space-size=${heapMegabytes}`],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    let outcome: ParquetOutcome | undefined;
    process.on('message', (message: ParquetOutcome) => {
      outcome = message;
    });
    process.on('error', (error) => {
      reject(new WinnowError('ERR_INTERNAL', path, 'a process that reads it', error.message));
    });
    process.on('close', (code, signal) => {
      if (outcome?.kind === 'done') resolve();
      else if (outcome !== undefined) reject(reviveError(outcome.code, outcome.message));
      else if (signal === 'SIGINT' || signal === 'SIGTERM')
        reject(new WinnowError('ERR_INTERRUPTED', path, 'its conversion to end', signal));
      else reject(damaged(path, 'pages that fit in memory', endOf(code, signal)));
    });
  });

/** The reader's process ends so where a file asks for more than there is. */
const endOf = (code: number | null, signal: NodeJS.Signals | null): string =>
  `its reader ended by ${signal ?? `code ${code}`}`;
