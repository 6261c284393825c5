import { median } from '../core/statistics.js';
import type { BatchRecord, CellRecord, TimingPass, TimingRecord } from './schema.js';

export interface CellTimes {
  readonly prefillMs: number;
  readonly compressionMs: number;
  readonly timeToFirstTokenMs: number;
  readonly decodeMsPerToken: number;
  readonly peakResidentBytes?: number;
  readonly peakDeviceBytes?: number;
  /** What the medians are of: one record a round; rounds of one pass ran beside each other. */
  readonly rounds: readonly TimingRecord[];
  /** How the pass was run; absent in old records. */
  readonly protocol?: TimingPass['protocol'];
  /** Of a device: the time of reading a step's weights and KV at its copy bandwidth. */
  readonly decodeFloorMs?: number;
  /** Several rows that decode together, in the order they were asked for; none unless the suite asks. */
  readonly batches: readonly BatchTimes[];
  /** Batches that could not be run. */
  readonly unbatched: readonly Extract<BatchRecord, { error: unknown }>[];
}

export type BatchTimes = Extract<BatchRecord, { status: 'ok' }> & {
  readonly tokensPerSecond: number;
  /** Of a device: the time of reading the weights once, and the KV of all rows, at its copy bandwidth. */
  readonly floorMs?: number;
};

/** Medians over the rounds of a cell's pass, and its batches; undefined for cells that were not timed. */
export const timesByCell = (passes: readonly TimingPass[]): ((record: CellRecord) => CellTimes | undefined) => {
  const found = new Map<string, (record: CellRecord) => CellTimes>();
  for (const pass of passes)
    for (const [cellId, rounds] of byCell(pass.timings)) {
      const batches = (pass.batches ?? []).filter((batch) => batch.cellId === cellId);
      found.set(cellId, (record) => timesOf(pass, rounds, batches, record));
    }
  return (record) => found.get(record.cell.cellId)?.(record);
};

const byCell = (timings: readonly TimingRecord[]): Map<string, TimingRecord[]> => {
  const found = new Map<string, TimingRecord[]>();
  for (const timing of timings) found.set(timing.cellId, [...(found.get(timing.cellId) ?? []), timing]);
  return found;
};

const timesOf = (
  { device, protocol }: TimingPass,
  rounds: readonly TimingRecord[],
  batches: readonly BatchRecord[],
  { aggregates }: CellRecord,
): CellTimes => {
  const middle = (read: (timing: TimingRecord) => number): number => median(rounds.map(read));
  const largest = (read: (timing: TimingRecord) => number | undefined): number | undefined => {
    const values = rounds.map(read).filter((value) => value !== undefined);
    return values.length === 0 ? undefined : Math.max(...values);
  };
  /** Of a device whose bandwidth is known. */
  const floorOf = (kvBytes: number | undefined): number | undefined =>
    device?.copyGigabytesPerSecond === undefined || kvBytes === undefined
      ? undefined
      : (device.weightBytesPerStep + kvBytes) / device.copyGigabytesPerSecond / 1e6;
  const peakResidentBytes = largest((timing) => timing.peakResidentBytes);
  const peakDeviceBytes = largest((timing) => timing.peakDeviceBytes);
  const decodeFloorMs = floorOf(aggregates?.kvBytesReadPerStep);
  return {
    prefillMs: middle((timing) => timing.prefillMs),
    compressionMs: middle((timing) => timing.compressionMs),
    timeToFirstTokenMs: middle((timing) => timing.timeToFirstTokenMs),
    decodeMsPerToken: middle((timing) => timing.decodeMsPerToken),
    rounds,
    ...(protocol === undefined ? {} : { protocol }),
    ...(peakResidentBytes === undefined ? {} : { peakResidentBytes }),
    ...(peakDeviceBytes === undefined ? {} : { peakDeviceBytes }),
    ...(decodeFloorMs === undefined ? {} : { decodeFloorMs }),
    batches: batches.flatMap((batch): BatchTimes[] => {
      if (batch.status !== 'ok') return [];
      const floorMs = floorOf(batch.kvBytesReadPerStep);
      const tokensPerSecond = (1000 * batch.rows) / batch.stepMs;
      return [{ ...batch, tokensPerSecond, ...(floorMs === undefined ? {} : { floorMs }) }];
    }),
    unbatched: batches.filter((batch) => batch.status !== 'ok'),
  };
};
