/** onnxruntime-node behind a small door: loaded on first use, CPU only, one error for everything it throws. */
import type { InferenceSession } from 'onnxruntime-node';
import { WinnowError } from '../../core/errors.js';
import type { BuiltGraph } from './graph.js';

type Runtime = typeof import('onnxruntime-node');

/** A value fed to a graph or read from it. `bool` values are bytes. */
export type HostTensor = { readonly shape: readonly number[] } & (
  | { readonly f32: Float32Array }
  | { readonly i64: BigInt64Array }
);

export interface Session {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Runs on this thread until done. Every output of the graph that is asked for, as f32. */
  run(feeds: Readonly<Record<string, HostTensor>>, wanted: readonly string[]): Promise<Record<string, F32Result>>;
  close(): Promise<void>;
}
export interface F32Result {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

let loading: Promise<Runtime> | undefined;

/** Throws: ERR_NATIVE_LOAD with the cause. */
const loadRuntime = (): Promise<Runtime> => {
  loading ??= import('onnxruntime-node').catch((cause: unknown) => {
    loading = undefined;
    throw new WinnowError(
      'ERR_NATIVE_LOAD',
      'onnxruntime-node',
      'a package that loads',
      messageOf(cause),
      'Run npm ci again; the package brings its own library for Linux, macOS and Windows.',
    );
  });
  return loading;
};

/**
 * A graph built here, or an ONNX file with the external data beside it. `where` names it in errors.
 * Throws: ERR_NATIVE_LOAD, ERR_OUT_OF_MEMORY, ERR_MODEL_FORMAT for a file that the runtime refuses, ERR_INTERNAL for a graph of ours.
 */
export const openSession = async (
  where: string,
  source: BuiltGraph | { readonly file: string },
  threads: number,
): Promise<Session> => {
  const runtime = await loadRuntime();
  const options: InferenceSession.SessionOptions = {
    executionProviders: ['cpu'],
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // The arena keeps the largest pass for ever: gigabytes after one long prompt.
    enableCpuMemArena: false,
    logSeverityLevel: 4,
    // Spinning threads would fight with the pool of the cpu backend.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  };
  const isFile = 'file' in source;
  let session: InferenceSession;
  try {
    session = isFile
      ? await runtime.InferenceSession.create(source.file, options)
      : await runtime.InferenceSession.create(source.model, {
          ...options,
          externalData: source.weights.map(({ path, data }) => ({
            path,
            data: Buffer.from(data.buffer, data.byteOffset, data.byteLength),
          })),
        });
  } catch (thrown) {
    throw errorOf(where, thrown, isFile);
  }
  const { Tensor } = runtime;
  return {
    inputs: session.inputNames,
    outputs: session.outputNames,
    async run(feeds, wanted) {
      const named: Record<string, InstanceType<typeof Tensor>> = {};
      for (const [name, tensor] of Object.entries(feeds)) {
        named[name] =
          'f32' in tensor
            ? new Tensor('float32', tensor.f32, tensor.shape)
            : new Tensor('int64', tensor.i64, tensor.shape);
      }
      let results: InferenceSession.OnnxValueMapType;
      try {
        results = await session.run(named, [...wanted]);
      } catch (thrown) {
        throw errorOf(where, thrown, isFile);
      }
      const out: Record<string, F32Result> = {};
      for (const name of wanted) {
        const { data, dims } = results[name]!;
        if (!(data instanceof Float32Array))
          throw new WinnowError('ERR_MODEL_FORMAT', `${where}, output ${name}`, 'float32', results[name]!.type);
        out[name] = { shape: dims, data };
      }
      return out;
    },
    close: () => session.release(),
  };
};

const errorOf = (where: string, thrown: unknown, isFile: boolean): WinnowError => {
  const message = messageOf(thrown);
  if (/bad_?alloc|[Ff]ailed to allocate|out of memory/.test(message)) {
    return new WinnowError(
      'ERR_OUT_OF_MEMORY',
      where,
      'room for the weights and one pass in float32',
      message,
      'Use a shorter prompt or a smaller model.',
    );
  }
  return isFile
    ? new WinnowError('ERR_MODEL_FORMAT', where, 'a graph that ONNX Runtime runs', message)
    : new WinnowError('ERR_INTERNAL', where, 'a valid graph', message, 'This is a bug; report it with the model.');
};

/** First line only: the runtime appends its source paths. */
const messageOf = (thrown: unknown): string =>
  (thrown instanceof Error ? thrown.message : String(thrown)).split('\n')[0]!;
