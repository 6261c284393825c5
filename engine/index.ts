import { Worker } from 'node:worker_threads';
import { reviveError, WinnowError } from '../core/errors.js';
import type { ModelFacts } from '../methods/contract.js';
import type {
  BatchTiming,
  Engine,
  GenerateOutcome,
  OpenOptions,
  PerplexityOutcome,
  SampleOutcome,
  ScoreOutcome,
  TimingOutcome,
} from './contract.js';
import type { ModelIdentity } from './local.js';
import type { WorkerCall, WorkerReply, WorkerStart } from './protocol.js';

export const defaultOpenOptions: OpenOptions = {
  backend: 'cpu',
  numerics: 'native',
  isa: 'auto',
  threads: 0,
  prefillChunk: 1024,
};

/** Tokens of one prefill chunk on a device: enough to fill it, at under a gigabyte of scratch for an 8B model. */
export const DEVICE_PREFILL_CHUNK = 8192;

type Call = WorkerCall extends infer C ? (C extends WorkerCall ? Omit<C, 'id'> : never) : never;

/**
 * Opens a checkpoint in a worker thread. Calls are queued; a signal stops the running call between chunks and steps.
 * Throws: whatever opening throws (ERR_MISSING, ERR_MODEL_FORMAT, ERR_UNSUPPORTED, ERR_NATIVE_LOAD, ERR_OUT_OF_MEMORY).
 */
export const openEngine = async (path: string, options: OpenOptions, identity?: ModelIdentity): Promise<Engine> => {
  const cancel = new SharedArrayBuffer(4);
  const flag = new Int32Array(cancel);
  const start: WorkerStart = { path, options, identity, cancel };
  const worker = new Worker(new URL('./worker.mjs', import.meta.url), { workerData: start });
  const pending = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let nextId = 1;
  let dead: WinnowError | undefined;

  const opened = await new Promise<{ facts: ModelFacts; machine: Engine['machine'] }>((resolve, reject) => {
    const die = (error: WinnowError): void => {
      dead ??= error;
      reject(dead);
      for (const call of pending.values()) call.reject(dead);
      pending.clear();
    };
    worker.on('message', (message: WorkerReply) => {
      switch (message.kind) {
        case 'open':
          return resolve(message);
        case 'failed-to-open':
          return die(revive(message));
        case 'result':
          pending.get(message.id)?.resolve(message.value);
          return pending.delete(message.id);
        case 'error':
          pending.get(message.id)?.reject(revive(message));
          return pending.delete(message.id);
      }
    });
    worker.on('error', (error) => {
      die(
        new WinnowError(
          'ERR_INTERNAL',
          'engine thread',
          'to keep running',
          error instanceof Error ? error.message : String(error),
          'This is a bug; run with --verbose and report it.',
        ),
      );
    });
    worker.on('exit', (code) => {
      die(
        new WinnowError(
          'ERR_INTERNAL',
          'engine thread',
          'to keep running',
          `exit with code ${code}`,
          'This is a bug; run with --verbose and report it.',
        ),
      );
    });
  });

  const call = async (message: Call, signal?: AbortSignal): Promise<unknown> => {
    if (dead !== undefined) throw dead;
    const id = nextId++;
    const stop = (): void => {
      Atomics.store(flag, 0, 1);
    };
    if (signal?.aborted === true) stop();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      return await new Promise((resolve, reject) => {
        pending.set(id, { resolve, reject });
        worker.postMessage({ ...message, id });
      });
    } finally {
      signal?.removeEventListener('abort', stop);
      Atomics.store(flag, 0, 0);
    }
  };

  return {
    facts: opened.facts,
    machine: opened.machine,
    evaluate: (request, signal) => call({ call: 'evaluate', request }, signal) as Promise<SampleOutcome>,
    evaluateBatch: (request, signal) => call({ call: 'evaluateBatch', request }, signal) as Promise<SampleOutcome[]>,
    time: (request, signal) => call({ call: 'time', request }, signal) as Promise<TimingOutcome>,
    timeBatches: (request, signal) => call({ call: 'timeBatches', request }, signal) as Promise<BatchTiming[]>,
    generate: (request, signal) => call({ call: 'generate', request }, signal) as Promise<GenerateOutcome>,
    calibrate: (request, signal) => call({ call: 'calibrate', request }, signal) as Promise<Record<string, unknown>>,
    score: (request, signal) => call({ call: 'score', request }, signal) as Promise<ScoreOutcome>,
    perplexity: (request, signal) => call({ call: 'perplexity', request }, signal) as Promise<PerplexityOutcome>,
    logits: (request, signal) => call({ call: 'logits', request }, signal) as Promise<Float32Array>,
    async close() {
      if (dead !== undefined) return;
      await call({ call: 'close' });
      dead = new WinnowError('ERR_INTERNAL', 'engine', 'an open engine', 'a closed one');
      await worker.terminate();
    },
  };
};

const revive = (message: {
  code: Parameters<typeof reviveError>[0];
  message: string;
  stack: string | undefined;
}): WinnowError => {
  const error = reviveError(message.code, message.message);
  if (message.stack !== undefined) error.stack = message.stack;
  return error;
};
