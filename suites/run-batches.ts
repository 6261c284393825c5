import { asWinnowError, type WinnowError } from '../core/errors.js';
import type { BatchSize, BatchTimingRequest, Engine } from '../engine/contract.js';
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

/**
 * Times batches of one setting after the other: a prefill each, then all sizes. They come after the interleaved rounds, and are warm. Where
 * the largest is asked for, dense comes first and all others run dense's largest too: that is how they compare row for row.
 */
export const timeBatchesOf = async (run: BatchRun): Promise<BatchRecord[]> => {
  const records: BatchRecord[] = [];
  let denseRows: number | undefined;
  for (const cell of [...run.cells].sort((a, b) => Number(isDense(b)) - Number(isDense(a)))) {
    run.signal?.throwIfAborted();
    try {
      const request = run.requestOf(cell);
      const sizes = withRows(request.sizes, denseRows);
      const { result, states } = await watching(run.device, () =>
        run.engine.timeBatches({ ...request, sizes }, run.signal),
      );
      const largest = result.find(({ asked }) => asked === 'largest');
      if (isDense(cell) && largest?.status === 'ok') denseRows = largest.rows;
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

const isDense = ({ method }: PlannedCell): boolean => method.id === 'dense';

/** Before the largest, unless it is there. */
const withRows = (sizes: readonly BatchSize[], rows: number | undefined): readonly BatchSize[] =>
  rows === undefined || sizes.includes(rows) || !sizes.includes('largest')
    ? sizes
    : sizes.flatMap((size) => (size === 'largest' ? [rows, size] : [size]));
