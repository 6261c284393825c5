/** Messages between the engine's client and its worker thread. */
import type { ErrorCode } from '../core/errors.js';
import type { ModelFacts } from '../methods/contract.js';
import type {
  BatchTimingRequest,
  CalibrateRequest,
  Engine,
  GenerateRequest,
  OpenOptions,
  PerplexityRequest,
  SampleRequest,
  ScoreRequest,
  TimingRequest,
} from './contract.js';
import type { ModelIdentity } from './local.js';

export interface WorkerStart {
  readonly path: string;
  readonly options: OpenOptions;
  readonly identity: ModelIdentity | undefined;
  /** Int32 flag: not 0 when the running call should stop at its next chunk or step. */
  readonly cancel: SharedArrayBuffer;
}

export type WorkerCall =
  | { readonly id: number; readonly call: 'evaluate'; readonly request: SampleRequest }
  | { readonly id: number; readonly call: 'evaluateBatch'; readonly request: readonly SampleRequest[] }
  | { readonly id: number; readonly call: 'time'; readonly request: TimingRequest }
  | { readonly id: number; readonly call: 'timeBatches'; readonly request: BatchTimingRequest }
  | { readonly id: number; readonly call: 'generate'; readonly request: GenerateRequest }
  | { readonly id: number; readonly call: 'calibrate'; readonly request: CalibrateRequest }
  | { readonly id: number; readonly call: 'score'; readonly request: ScoreRequest }
  | { readonly id: number; readonly call: 'perplexity'; readonly request: PerplexityRequest }
  | { readonly id: number; readonly call: 'logits'; readonly request: Int32Array }
  | { readonly id: number; readonly call: 'close' };

export type WorkerReply =
  | { readonly kind: 'open'; readonly facts: ModelFacts; readonly machine: Engine['machine'] }
  | {
      readonly kind: 'failed-to-open';
      readonly code: ErrorCode;
      readonly message: string;
      readonly stack: string | undefined;
    }
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | {
      readonly kind: 'error';
      readonly id: number;
      readonly code: ErrorCode;
      readonly message: string;
      readonly stack: string | undefined;
    };
