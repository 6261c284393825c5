/** What the runner asks of an engine with the clock running, and what it gets back. Part of the engine contract. */
import type { SampleRequest, SettingRequest } from './contract.js';

export interface TimingRequest
  extends Omit<SampleRequest, 'settings' | 'traceKept' | 'continuation' | 'turns' | 'turnsContinue'> {
  readonly setting: SettingRequest;
}

/** Times are those of a clock that is read when the device has done what it was asked. */
export interface TimingOutcome {
  readonly prefillMs: number;
  readonly timeToFirstTokenMs: number;
  readonly decodeMsPerToken: number;
  readonly compressionMs: number;
  readonly generatedTokens: number;
  readonly peakResidentBytes: number;
  /** Only of a device: bytes held there at once, weights included. */
  readonly peakDeviceBytes?: number;
  /** Only of a device: times that the host waited for values of it, mean over the decode steps; the chosen token is one. */
  readonly hostReadsPerStep?: number;
}

/** Rows of a batch; `largest`: as many as fit the memory, at most `MOST_BATCH_ROWS`. */
export type BatchSize = number | 'largest';

export interface BatchTimingRequest extends TimingRequest {
  readonly sizes: readonly BatchSize[];
  /** Bytes that the largest batch has to fit; on a device, unless given, its memory but for a reserve. */
  readonly memoryBytes?: number;
}

/** Decode steps of equal rows in caches of their own. */
export interface TimedBatch {
  readonly rows: number;
  /** Of one step, which gives every row a token: median over the timed steps, and their mean. */
  readonly stepMs: number;
  readonly meanStepMs: number;
  readonly steps: number;
  /** Of all rows together: resident after the prompt, and read in a step. */
  readonly kvCacheBytes: number;
  readonly kvBytesReadPerStep: number;
  /** Only of a device, as in `TimingOutcome`. */
  readonly peakDeviceBytes?: number;
  readonly hostReadsPerStep?: number;
  /** Of the largest batch: the bytes it had to fit. */
  readonly memoryBytes?: number;
  /** Of the largest batch: a computed number of rows for which memory ran out all the same. */
  readonly halvedFrom?: number;
}

export type BatchTiming =
  | ({ readonly asked: BatchSize; readonly status: 'ok' } & TimedBatch)
  | {
      readonly asked: BatchSize;
      readonly status: 'failed' | 'unsupported' | 'out-of-memory';
      readonly error: { readonly code: string; readonly message: string };
    };
