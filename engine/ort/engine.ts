import { basename } from 'node:path';
import { WinnowError } from '../../core/errors.js';
import { loadAddon } from '../../native/index.js';
import { openCheckpoint } from '../checkpoint.js';
import type { SampleOutcome } from '../contract.js';
import { architectureOf, modelFacts } from '../core/load.js';
import { createEncoderServices, encoderOpener } from '../encoder/services.js';
import { floatTensor } from '../float-weights.js';
import type { LocalOptions, ServedEngine } from '../local.js';
import { openTextModel } from '../text-model.js';
import { evaluate, generate, type OrtContext } from './answers.js';
import { createDecoder } from './decoder.js';
import { buildDecoder } from './decoder-graph.js';
import { openSession } from './session.js';

/**
 * Opens a checkpoint as one float32 graph in ONNX Runtime: an independent check of the cpu backend. It serves dense attention only, so
 * methods that act on the cache, the prefill or the steps are `unsupported`; those that choose the prompt's text run.
 * Memory: about twelve bytes for each weight. Throws: ERR_UNSUPPORTED, ERR_NATIVE_LOAD, ERR_OUT_OF_MEMORY and what opening files throws.
 */
export const openOrt = async (path: string, options: LocalOptions): Promise<ServedEngine> => {
  if (options.isa !== 'auto') {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      'isa',
      'auto with the ort backend',
      options.isa,
      'ONNX Runtime chooses its own instructions; drop --isa.',
    );
  }
  const addon = loadAddon();
  const { isas, cores } = addon.cpuFacts();
  const threads = options.threads > 0 ? options.threads : cores;
  addon.configure(isas[0]!, 'reference', threads);
  const checkpoint = openCheckpoint(path);
  const identity = options.identity ?? { id: basename(path), sha256: '' };
  const facts = modelFacts(checkpoint, identity.id, identity.sha256, 4);
  const architecture = architectureOf(checkpoint);
  const text = openTextModel(path);
  let session: Awaited<ReturnType<typeof openSession>>;
  try {
    const tensor = (name: string): Float32Array => floatTensor(addon, checkpoint, name);
    const graph = buildDecoder(architecture, tensor, checkpoint.config);
    session = await openSession(`${path} as an ONNX graph`, graph, threads);
  } finally {
    checkpoint.close();
  }
  const decoder = createDecoder(session, {
    shapes: facts.layers,
    vocabSize: facts.vocabSize,
    rotary: architecture.rotary,
    cancelled: options.cancelled,
  });
  const services = createEncoderServices(text.countTokens, encoderOpener(addon, threads, options.cancelled));
  const context: OrtContext = {
    facts,
    text,
    decoder,
    openServices: services.open,
    resolve: options.resolveMethod,
  };
  return {
    facts,
    machine: { isa: 'onnxruntime', threads, activations: 'f32' },
    evaluate: (request) => evaluate(context, request),
    async evaluateBatch(requests) {
      const outcomes: SampleOutcome[] = [];
      for (const request of requests) outcomes.push(await evaluate(context, request));
      return outcomes;
    },
    time: () => Promise.reject(refused('an accuracy pass', 'a timing pass', 'take times with --backend cpu')),
    timeBatches: () => Promise.reject(refused('an accuracy pass', 'a timing pass', 'take times with --backend cpu')),
    generate: (request) => generate(context, request),
    calibrate: () =>
      Promise.reject(refused('a method to run', 'a method to calibrate', 'calibrate with --backend cpu')),
    score: () => Promise.reject(refused('generate or logits', 'given continuations', 'score them with --backend cpu')),
    perplexity: () => Promise.reject(refused('generate or logits', 'a long text', 'measure it with --backend cpu')),
    logits: (ids) => decoder.feed(decoder.newPast(), ids, 'all'),
    async close() {
      await services.close();
      await decoder.close();
    },
  };
};

const refused = (expected: string, got: string, instead: string): WinnowError =>
  new WinnowError('ERR_UNSUPPORTED', 'backend ort', expected, got, `It is there to check results; ${instead}.`);
