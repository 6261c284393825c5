import { readFileSync } from 'node:fs';
import { sha256Hex } from '../core/canonical-json.js';
import { WinnowError } from '../core/errors.js';
import { createBootstrap } from '../core/statistics-bootstrap.js';
import { aggregateCell, intervalStatistics } from './aggregate.js';
import { verifyRecords } from './checksums.js';
import { writeRunRecords } from './copy-run.js';
import { collectProvenance, type Provenance } from './provenance.js';
import {
  encodeSamples,
  listIds,
  readCellRecord,
  readCellSamples,
  readRunRecord,
  readTimingPass,
  runPaths,
} from './run-files.js';
import type { SampleRecord } from './schema.js';
import type { Rescore } from './verify-records.js';

export interface ScoreChange {
  readonly samples: number;
  /** Samples whose score is another one now. */
  readonly changed: number;
  /** Tasks that this version does not have: their scores stay. */
  readonly unknownTasks: readonly string[];
}

/**
 * Scores the saved outputs of the run in `dir` by today's rules into a new run directory `out`; no model runs. run.json says which run
 * the outputs are of and which code scored them. The old run stays as it is.
 *
 * Throws ERR_RECORD for damaged records or a run that has not ended, and for an `out` that holds something.
 */
export const scoreRun = (
  dir: string,
  out: string,
  rescore: Rescore,
  provenance: Provenance = collectProvenance(),
): ScoreChange => {
  const run = readRunRecord(dir);
  if (run.status !== 'finished')
    throw new WinnowError('ERR_RECORD', dir, 'a finished run', run.status, `Finish it first: ${run.command}`);
  verifyRecords(dir);
  const { seed, draws, level } = intervalStatistics;
  const bootstrap = createBootstrap({ seed, draws, level });
  const unknownTasks = new Set<string>();
  let [count, changed] = [0, 0];
  const paths = runPaths(dir);
  const cells = listIds(paths.cells, '.json').map((id) => {
    const record = readCellRecord(dir, id);
    const samples = readCellSamples(dir, record).map((sample): SampleRecord => {
      count++;
      if (sample.status !== 'ok') return sample;
      const score = rescore(record.cell, sample);
      if (score === undefined) unknownTasks.add(record.cell.task);
      if (score === undefined || score === sample.score) return sample;
      changed++;
      return { ...sample, score };
    });
    const samplesSha256 = sha256Hex(encodeSamples(samples));
    if (samples.length === 0) return { record: { ...record, samplesSha256 }, samples };
    const { schemaVersion, cell } = record;
    return { record: { schemaVersion, cell, ...aggregateCell(samples, bootstrap), samplesSha256 }, samples };
  });
  writeRunRecords(out, {
    run: {
      ...run,
      statistics: intervalStatistics,
      scored: { runSha256: sha256Hex(readFileSync(paths.run)), code: provenance.code },
    },
    cells,
    timings: listIds(paths.timings, '.json').map((id) => readTimingPass(dir, id)),
  });
  return { samples: count, changed, unknownTasks: [...unknownTasks].sort() };
};
