import { asWinnowError, type WinnowError } from '../core/errors.js';
import type { Engine, SettingRequest, TimingOutcome, TimingRequest } from '../engine/contract.js';
import type { DeviceState } from '../native/addon-types.js';
import type { DeviceConditions } from '../results/provenance-schema.js';
import type { TimingRecord } from '../results/schema.js';
import type { PlannedCell, Sample } from './contract.js';
import type { CellGroup } from './run-groups.js';

/** Tokens generated under the clock, stop tokens ignored: enough for a mean, few beside a prefill. */
export const TIMED_TOKENS = 16;

/** Measured rounds after one that only warms up; a median of fewer says little. */
export const TIMED_ROUNDS = 5;

/** Reads a device's clocks before a pass and, by `after`, behind it; and at any moment between measurements. */
export interface DeviceWatch {
  begin(): { after(): DeviceConditions };
  state(): DeviceState | undefined;
}

/** Runs one measurement with the device's state read before and after it, where there is a device that tells. */
export const watching = async <T>(
  device: DeviceWatch | undefined,
  measure: () => Promise<T>,
): Promise<{ result: T; states: Pick<TimingRecord, 'device'> }> => {
  const before = device?.state();
  const result = await measure();
  const after = device?.state();
  if (before === undefined && after === undefined) return { result, states: {} };
  return {
    result,
    states: {
      device: { ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) },
    },
  };
};

export interface TimingRun {
  readonly group: CellGroup;
  readonly sample: Sample;
  readonly engine: Pick<Engine, 'time'>;
  readonly device?: DeviceWatch;
  /** Measured rounds; TIMED_ROUNDS unless the suite says fewer. */
  readonly rounds?: number;
  /** `first`: only the first setting warms up, for all: long prompts on a device, where warming up is memory and libraries. */
  readonly warmUp?: 'every' | 'first';
  requestOf(sample: Sample, setting: SettingRequest): TimingRequest;
  settingOf(cell: PlannedCell): SettingRequest;
  /** Peak resident bytes of this one setting in a process of its own; undefined where it cannot be measured. */
  peakOf(request: TimingRequest): Promise<number | undefined>;
  onRound?(cell: PlannedCell): void;
  /** A setting that cannot be timed: it has no times, the others do. */
  onUntimed?(cell: PlannedCell, error: WinnowError): void;
  readonly signal?: AbortSignal;
}

/**
 * Times all settings of a group on one sample, interleaved: every round runs each setting once, starting one further along than the
 * round before, so that drift of the machine touches all alike. The first round warms up and is not kept.
 */
export const timeGroup = async (run: TimingRun): Promise<TimingRecord[]> => {
  const requests = run.group.cells.map((cell) => ({ cell, request: run.requestOf(run.sample, run.settingOf(cell)) }));
  const timed: { cell: PlannedCell; round: number; outcome: TimingOutcome; states: Pick<TimingRecord, 'device'> }[] =
    [];
  const untimed = new Set<PlannedCell>();
  const rounds = run.rounds ?? TIMED_ROUNDS;
  for (let round = 0; round <= rounds; round++) {
    for (let i = 0; i < requests.length; i++) {
      run.signal?.throwIfAborted();
      if (round === 0 && i > 0 && run.warmUp === 'first') continue;
      const { cell, request } = requests[(i + round) % requests.length]!;
      run.onRound?.(cell);
      if (untimed.has(cell)) continue;
      try {
        const { result, states } = await watching(run.device, () => run.engine.time(request, run.signal));
        if (round > 0) timed.push({ cell, round, outcome: result, states });
      } catch (thrown) {
        const error = asWinnowError(thrown, cell.cellId);
        if (error.code === 'ERR_INTERRUPTED' || error.code === 'ERR_INTERNAL') throw error;
        untimed.add(cell);
        run.onUntimed?.(cell, error);
      }
    }
  }
  const peaks = new Map<string, number | undefined>();
  for (const { cell, request } of requests) {
    run.signal?.throwIfAborted();
    if (!untimed.has(cell)) peaks.set(cell.cellId, await run.peakOf(request));
  }
  return timed
    .filter(({ cell }) => !untimed.has(cell))
    .map(({ cell, round, outcome, states }) => {
      const peak = peaks.get(cell.cellId);
      return {
        cellId: cell.cellId,
        sampleId: run.sample.id,
        repeat: round - 1,
        prefillMs: outcome.prefillMs,
        compressionMs: outcome.compressionMs,
        timeToFirstTokenMs: outcome.timeToFirstTokenMs,
        decodeMsPerToken: outcome.decodeMsPerToken,
        generatedTokens: outcome.generatedTokens,
        ...(peak === undefined ? {} : { peakResidentBytes: peak }),
        ...(outcome.peakDeviceBytes === undefined ? {} : { peakDeviceBytes: outcome.peakDeviceBytes }),
        ...(outcome.hostReadsPerStep === undefined ? {} : { hostReadsPerStep: outcome.hostReadsPerStep }),
        ...states,
      };
    });
};
