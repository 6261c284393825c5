/** The engine's own thread: native ops block here, so that progress, timeouts and Ctrl-C stay alive elsewhere. */
import { parentPort, workerData } from 'node:worker_threads';
import { asWinnowError, WinnowError } from '../core/errors.js';
import { resolveMethod } from '../methods/load.js';
import { type LocalOptions, openLocal, type ServedEngine } from './local.js';
import type { WorkerCall, WorkerReply, WorkerStart } from './protocol.js';

const start = workerData as WorkerStart;
const port = parentPort!;
const flag = new Int32Array(start.cancel);
const reply = (message: WorkerReply, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);

const cancelled = (): void => {
  if (Atomics.load(flag, 0) === 0) return;
  throw new WinnowError(
    'ERR_INTERRUPTED',
    'engine',
    'to finish',
    'a request to stop',
    'The same command continues where it stopped.',
  );
};

const serve = async (engine: ServedEngine, message: WorkerCall): Promise<void> => {
  try {
    switch (message.call) {
      case 'evaluate':
        return reply({ kind: 'result', id: message.id, value: await engine.evaluate(message.request) });
      case 'evaluateBatch':
        return reply({ kind: 'result', id: message.id, value: await engine.evaluateBatch(message.request) });
      case 'time':
        return reply({ kind: 'result', id: message.id, value: await engine.time(message.request) });
      case 'timeBatches':
        return reply({ kind: 'result', id: message.id, value: await engine.timeBatches(message.request) });
      case 'generate':
        return reply({ kind: 'result', id: message.id, value: await engine.generate(message.request) });
      case 'calibrate':
        return reply({ kind: 'result', id: message.id, value: await engine.calibrate(message.request) });
      case 'score':
        return reply({ kind: 'result', id: message.id, value: await engine.score(message.request) });
      case 'perplexity':
        return reply({ kind: 'result', id: message.id, value: await engine.perplexity(message.request) });
      case 'logits': {
        const value = await engine.logits(message.request);
        return reply({ kind: 'result', id: message.id, value }, [value.buffer as ArrayBuffer]);
      }
      case 'close':
        await engine.close();
        reply({ kind: 'result', id: message.id, value: undefined });
        return port.close();
    }
  } catch (thrown) {
    const error = asWinnowError(thrown, `engine.${message.call}`);
    reply({ kind: 'error', id: message.id, code: error.code, message: error.message, stack: error.stack });
  }
};

/** ONNX Runtime is loaded for its own backend only. */
const open = async (path: string, options: LocalOptions): Promise<ServedEngine> =>
  options.backend === 'ort' ? (await import('./ort/engine.js')).openOrt(path, options) : openLocal(path, options);

try {
  const engine = await open(start.path, {
    ...start.options,
    ...(start.identity === undefined ? {} : { identity: start.identity }),
    resolveMethod,
    cancelled,
  });
  // One call at a time, in order: the transformer's scratch is shared.
  let queue: Promise<void> = Promise.resolve();
  port.on('message', (message: WorkerCall) => {
    queue = queue.then(() => serve(engine, message));
  });
  reply({ kind: 'open', facts: engine.facts, machine: engine.machine });
} catch (thrown) {
  const error = asWinnowError(thrown, start.path);
  reply({ kind: 'failed-to-open', code: error.code, message: error.message, stack: error.stack });
  port.close();
}
