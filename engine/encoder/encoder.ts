/** Embedders, cross-encoders and token classifiers, run by ONNX Runtime in float32. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import type { WordClasses } from '../../methods/contract.js';
import type { Addon } from '../../native/addon-types.js';
import { readJson } from '../checkpoint.js';
import { type F32Result, type HostTensor, openSession, type Session } from '../ort/session.js';
import { batchesOf } from './batches.js';
import { type EncoderTask, readEncoderConfig, taskOf } from './config.js';
import { buildEncoder, encoderNames } from './graph.js';
import { pool, readSentenceSettings, type SentenceSettings, unit } from './pooling.js';
import { type EncoderInput, type EncoderText, openEncoderText } from './text.js';
import { openEncoderWeights, weightFilesOf } from './weights.js';

/** An answer, and the tokens that the model read for each text: special tokens count, padding does not. */
export interface Metered<T> {
  readonly value: T;
  readonly tokens: readonly number[];
}

/** An open encoder. A text's numbers depend on that text alone; longer ones are cut to `maxTokens`. */
export interface Encoder {
  readonly task: EncoderTask;
  readonly maxTokens: number;
  readonly labels: readonly string[];
  /** single: [D] of each text; token: [tokens, D] of each text, special tokens included. */
  embed(texts: readonly string[], kind: 'single' | 'token'): Promise<Metered<Float32Array[]>>;
  /** The score of each text beside the query, as the model gives it: higher is nearer. */
  scorePairs(query: string, texts: readonly string[]): Promise<Metered<Float32Array>>;
  /** Long texts are read in windows of whole words, so that no word is left out. */
  classifyWords(text: string): Promise<Metered<WordClasses>>;
  close(): Promise<void>;
}

interface Loaded {
  readonly session: Session;
  readonly task: EncoderTask;
  readonly labels: readonly string[];
  readonly padId: number;
  /** Kinds of text that the model tells apart. */
  readonly tokenTypes: number;
  readonly maxTokens: number;
  /** Name of the output to read. */
  readonly output: string;
}

/**
 * A folder with config.json, tokenizer.json and either safetensors of a BERT-like model or a ready model.onnx (also in onnx/).
 * `cancelled` is asked between batches and throws when the caller has given up.
 * Throws: ERR_MISSING, ERR_MODEL_FORMAT, ERR_UNSUPPORTED, ERR_NATIVE_LOAD, ERR_OUT_OF_MEMORY.
 */
export const openEncoder = async (
  folder: string,
  addon: Addon,
  threads: number,
  cancelled: () => void = () => undefined,
): Promise<Encoder> => {
  const settings = readSentenceSettings(folder);
  const loaded = await load(folder, addon, threads);
  const maxTokens = Math.min(loaded.maxTokens, settings.maxTokens ?? loaded.maxTokens);
  try {
    const text = openEncoderText(folder, maxTokens, settings.lowerCase);
    return encoderOf(folder, { ...loaded, maxTokens }, text, settings, cancelled);
  } catch (error) {
    await loaded.session.close();
    throw error;
  }
};

const load = async (folder: string, addon: Addon, threads: number): Promise<Loaded> => {
  const where = join(folder, 'config.json');
  const json = readJson(where);
  if (weightFilesOf(folder).length > 0) {
    const config = readEncoderConfig(where, json);
    const weights = openEncoderWeights(folder, addon);
    try {
      const session = await openSession(`${folder} as an ONNX graph`, buildEncoder(config, weights), threads);
      const output = config.task === 'vectors' ? encoderNames.hidden : encoderNames.logits;
      return { ...config, session, output };
    } finally {
      weights.close();
    }
  }
  const file = ['model.onnx', 'onnx/model.onnx'].map((name) => join(folder, name)).find((path) => existsSync(path));
  if (file === undefined)
    throw new WinnowError('ERR_MISSING', folder, 'model.safetensors or model.onnx', 'neither', 'Check the folder.');
  return loadOnnx(file, where, json, threads);
};

const readySchema = z.looseObject({
  architectures: z.array(z.string()).nullish(),
  pad_token_id: z.int().min(0).nullish(),
  max_position_embeddings: z.int().min(1).default(512),
  type_vocab_size: z.int().min(0).default(2),
  id2label: z.record(z.string(), z.string()).default({}),
});

const loadOnnx = async (file: string, where: string, json: unknown, threads: number): Promise<Loaded> => {
  const parsed = readySchema.safeParse(json);
  if (!parsed.success)
    throw new WinnowError(
      'ERR_MODEL_FORMAT',
      where,
      'the configuration of an encoder',
      parsed.error.issues[0]!.message,
    );
  const config = parsed.data;
  const task = taskOf(where, config.architectures);
  const session = await openSession(file, { file }, threads);
  const known = [encoderNames.ids, encoderNames.mask, encoderNames.types] as readonly string[];
  const strange = session.inputs.find((name) => !known.includes(name));
  const wanted = task === 'vectors' ? [encoderNames.hidden, 'token_embeddings'] : [encoderNames.logits];
  const output = wanted.find((name) => session.outputs.includes(name));
  if (strange !== undefined || output === undefined) {
    await session.close();
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      file,
      `inputs of ${known.join(', ')} and an output ${wanted.join(' or ')}`,
      `inputs ${session.inputs.join(', ')}, outputs ${session.outputs.join(', ')}`,
    );
  }
  const padId = config.pad_token_id ?? 0;
  // RoBERTa-like tables begin behind the padding id, which is not 0 there.
  const maxTokens = config.max_position_embeddings - (padId > 0 ? padId + 1 : 0);
  const labels = Object.values(config.id2label);
  return { session, task, labels, padId, tokenTypes: config.type_vocab_size, maxTokens, output };
};

const encoderOf = (
  folder: string,
  loaded: Loaded,
  text: EncoderText,
  settings: SentenceSettings,
  cancelled: () => void,
): Encoder => {
  const { session, task, labels } = loaded;

  /** Runs inputs in batches; `take` gets each input's own part of the output. */
  const runAll = async (
    inputs: readonly EncoderInput[],
    take: (index: number, part: Float32Array, width: number) => void,
  ): Promise<number[]> => {
    for (const { members, paddedTokens } of batchesOf(inputs, loaded.maxTokens)) {
      cancelled();
      const batch = members.map((index) => inputs[index]!);
      const result = (await session.run(feedsOf(loaded, batch, paddedTokens), [loaded.output]))[loaded.output]!;
      checkRows(folder, loaded.output, result, batch.length);
      const width = result.shape.at(-1)!;
      const stride = result.data.length / batch.length;
      members.forEach((index, row) => {
        const own = result.shape.length === 3 ? inputs[index]!.ids.length * width : width;
        take(index, result.data.subarray(row * stride, row * stride + own), width);
      });
    }
    return inputs.map(({ ids }) => ids.length);
  };
  const require = (wanted: EncoderTask, what: string): void => {
    if (task === wanted) return;
    throw new WinnowError('ERR_UNSUPPORTED', `${folder}, ${what}`, `a model of ${wanted}`, `one of ${task}`);
  };

  return {
    task,
    labels,
    maxTokens: loaded.maxTokens,
    async embed(texts, kind) {
      require('vectors', 'embed');
      const value = new Array<Float32Array>(texts.length);
      const tokens = await runAll(texts.map(text.single), (index, hidden, width) => {
        value[index] = kind === 'single' ? pool(hidden, width, settings) : rowsOf(hidden, width, settings.normalise);
      });
      return { value, tokens };
    },
    async scorePairs(query, texts) {
      require('pairs', 'rerank');
      if (labels.length > 1)
        throw new WinnowError(
          'ERR_UNSUPPORTED',
          `${folder}, rerank`,
          'a model with one score',
          `${labels.length} classes`,
        );
      const value = new Float32Array(texts.length);
      const inputs = texts.map((one) => text.pair(query, one));
      const tokens = await runAll(inputs, (index, logits) => {
        value[index] = logits[0]!;
      });
      return { value, tokens };
    },
    async classifyWords(whole) {
      require('tokens', 'classifyWords');
      const words = text.words(whole);
      const windows = windowsOf(words, text.room);
      const shares = new Float32Array(words.length * labels.length);
      const inputs = windows.map((window) => text.frame(window.flatMap(({ ids }) => ids)));
      const tokens = await runAll(inputs, (index, logits, width) => {
        let at = inputs[index]!.start;
        for (const { word, ids } of windows[index]!) {
          const own = shares.subarray(word * width, (word + 1) * width);
          for (const _ of ids) {
            const share = softmax(logits.subarray(at * width, ++at * width));
            for (let label = 0; label < width; label++) own[label]! += share[label]! / ids.length;
          }
        }
      });
      return { value: { labels, spans: words.map(({ span }) => span), shares }, tokens };
    },
    close: () => session.close(),
  };
};

/** Words in order, as many to a window as fit; a word that alone is too long is cut. */
const windowsOf = (
  words: readonly { readonly ids: readonly number[] }[],
  room: number,
): { readonly word: number; readonly ids: readonly number[] }[][] => {
  const windows: { word: number; ids: readonly number[] }[][] = [];
  let left = 0;
  words.forEach((one, word) => {
    const ids = one.ids.slice(0, room);
    if (ids.length > left || windows.length === 0) {
      windows.push([]);
      left = room;
    }
    windows.at(-1)!.push({ word, ids });
    left -= ids.length;
  });
  return windows;
};

const feedsOf = (
  { session, padId, tokenTypes }: Loaded,
  batch: readonly EncoderInput[],
  paddedTokens: number,
): Record<string, HostTensor> => {
  const padded = (numberAt: (input: EncoderInput, at: number) => number): HostTensor => {
    const i64 = new BigInt64Array(batch.length * paddedTokens);
    batch.forEach((input, row) => {
      for (let at = 0; at < paddedTokens; at++) i64[row * paddedTokens + at] = BigInt(numberAt(input, at));
    });
    return { i64, shape: [batch.length, paddedTokens] };
  };
  const feeds: Record<string, HostTensor> = {
    [encoderNames.ids]: padded(({ ids }, at) => ids[at] ?? padId),
    [encoderNames.mask]: padded(({ ids }, at) => (at < ids.length ? 1 : 0)),
    [encoderNames.types]: padded(({ types }, at) => Math.min(types[at] ?? 0, Math.max(0, tokenTypes - 1))),
  };
  return Object.fromEntries(Object.entries(feeds).filter(([name]) => session.inputs.includes(name)));
};

const checkRows = (folder: string, name: string, { shape }: F32Result, rows: number): void => {
  if ((shape.length === 2 || shape.length === 3) && shape[0] === rows) return;
  throw new WinnowError('ERR_MODEL_FORMAT', `${folder}, output ${name}`, `[${rows}, …] of 2 or 3 axes`, `[${shape}]`);
};

const rowsOf = (hidden: Float32Array, width: number, normalise: boolean): Float32Array => {
  const rows = hidden.slice();
  if (normalise) for (let at = 0; at < rows.length; at += width) rows.set(unit(rows.subarray(at, at + width)), at);
  return rows;
};

const softmax = (logits: Float32Array): Float32Array => {
  const peak = logits.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const weights = Float64Array.from(logits, (value) => Math.exp(value - peak));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Float32Array.from(weights, (weight) => weight / total);
};
