import { asWinnowError, type WinnowError } from '../core/errors.js';
import type { BatchTimingRequest, Engine } from '../engine/contract.js';
import type { BatchRecord } from '../results/schema.js';
import type { PlannedCell, ResolvedSuite, Sample } from './contract.js';
import { type DeviceWatch, watching } from './run-timing.js';

export interface BatchRun {
  readonly cells: readonly PlannedCell[];
  readonly sample: Sample;
  readonly engine: Pick<Engine, 'timeBatches'>;
  readonly device?: DeviceWatch;
  requestOf(cell: PlannedCell): BatchTimingRequest;
  /** A setting whose rows cannot be timed together. */
  onUntimed?(cell: PlannedCell, error: WinnowError): void;
  readonly signal?: AbortSignal;
}

/** Whether a suite's batches are for this cell. */
export const isBatched = (
  { methods, lengths }: NonNullable<NonNullable<ResolvedSuite['timed']>['batch']>,
  { method, contextLength }: PlannedCell,
): boolean => (methods?.includes(method.id) ?? true) && (lengths?.includes(contextLength) ?? true);

/** Times batches of one setting after the other: a prefill each, then all sizes. They come after the interleaved rounds, and are warm. */
export const timeBatchesOf = async (run: BatchRun): Promise<BatchRecord[]> => {
  const records: BatchRecord[] = [];
  for (const cell of run.cells) {
    run.signal?.throwIfAborted();
    try {
      const { result, states } = await watching(run.device, () =>
        run.engine.timeBatches(run.requestOf(cell), run.signal),
      );
      for (const batch of result) {
        const head = { cellId: cell.cellId, sampleId: run.sample.id };
        records.push(batch.status === 'ok' ? { ...head, ...batch, ...states } : { ...head, ...batch });
      }
    } catch (thrown) {
      const error = asWinnowError(thrown, cell.cellId);
      if (error.code === 'ERR_INTERRUPTED' || error.code === 'ERR_INTERNAL') throw error;
      run.onUntimed?.(cell, error);
    }
  }
  return records;
};
