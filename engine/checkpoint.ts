/** Weights and configuration of a model, whatever the file format: a GGUF file or a Hugging Face directory. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../core/errors.js';
import type { WeightType } from '../native/addon-types.js';
import { type BoundedFile, openBoundedFile } from './checkpoint-file.js';
import { type ExpectedTensor, expectedTensors } from './checkpoint-names.js';
import type { ModelConfig } from './config.js';
import { configFromGguf } from './config-gguf.js';
import { configFromHuggingFace } from './config-huggingface.js';
import type { Gguf } from './gguf.js';
import { openGgufShards, type ShardedGguf } from './gguf-shards.js';
import { isRandomModel, type RandomDraw, randomCheckpoint } from './random-model.js';
import { readSafetensors, shardNames } from './safetensors.js';

export interface CheckpointTensor {
  /** Canonical name, see checkpoint-names.ts. */
  readonly name: string;
  readonly type: WeightType;
  /** [rows, cols] of a matrix, [length] of a vector. */
  readonly shape: readonly number[];
  /**
   * The stored bytes, read from the file at each access into a buffer of exactly their size: take it once and let go of it,
   * then a load never holds the file and the packed weights together. Throws after close.
   */
  readonly bytes: Uint8Array;
  /** Offset of the tensor inside `bytes`. */
  readonly byteOffset: number;
  readonly byteLength: number;
  /** Heads whose rows are stored with interleaved rotary pairs (WeightSource of native/addon-types.ts); 0: none. */
  readonly interleavedHeads: number;
}

export interface Checkpoint {
  readonly path: string;
  /** `random`: made from a seed (random-model.ts), no file. */
  readonly format: 'gguf' | 'safetensors' | 'random';
  readonly config: ModelConfig;
  /** By canonical name. Every tensor that the configuration asks for is there, with the right shape. */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /** Of random shapes too large for the host: how the device draws the matrix of this name, or the stack of which it is the first. */
  drawnWith?(name: string): RandomDraw;
  close(): void;
}

/**
 * Opens a GGUF file, a directory with `config.json` and safetensors, or `random:SHAPE`; reads headers only.
 * Throws: ERR_MISSING, ERR_MODEL_FORMAT (file, offset, expected, actual), ERR_UNSUPPORTED.
 */
export function openCheckpoint(path: string): Checkpoint {
  if (isRandomModel(path)) return randomCheckpoint(path);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined)
    throw new WinnowError('ERR_MISSING', path, 'a GGUF file or a model directory', 'nothing there', 'Check the path.');
  return stat.isDirectory() ? openDirectory(path) : openGguf(path);
}

/** The tensor of this name, or ERR_INTERNAL: the engine asks only for names of checkpoint-names.ts. */
export function tensorOf(checkpoint: Checkpoint, name: string): CheckpointTensor {
  const tensor = checkpoint.tensors.get(name);
  if (tensor === undefined)
    throw new WinnowError('ERR_INTERNAL', `${checkpoint.path}, ${name}`, 'a tensor of the checkpoint', 'none');
  return tensor;
}

type FileFormat = 'gguf' | 'safetensors';

interface StoredTensor {
  readonly type: WeightType;
  readonly shape: readonly number[];
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly file: BoundedFile;
}

function openGguf(path: string): Checkpoint {
  const { gguf, fileOf, close } = openGgufShards(path);
  try {
    const config = configFromGguf(gguf, (name) => readFactors(gguf, fileOf, name));
    const find = (expected: ExpectedTensor): StoredTensor | undefined => {
      const tensor = gguf.tensors.get(expected.gguf);
      return tensor && { ...tensor, file: fileOf(tensor) };
    };
    const tensors = collect(path, config, 'gguf', find, gguf.tensors.keys());
    return { path, format: 'gguf', config, tensors, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Divisors of rotary frequencies, which GGUF files keep as tensors. */
function readFactors(gguf: Gguf, fileOf: ShardedGguf['fileOf'], name: string): number[] | undefined {
  const tensor = gguf.tensors.get(name);
  if (tensor === undefined) return undefined;
  if (tensor.type !== 'F32') throw new WinnowError('ERR_MODEL_FORMAT', `${gguf.path}, ${name}`, 'F32', tensor.type);
  const bytes = fileOf(tensor).read(tensor.byteOffset, tensor.byteLength, tensor.name);
  return Array.from({ length: tensor.byteLength / 4 }, (_, index) => bytes.readFloatLE(index * 4));
}

function openDirectory(path: string): Checkpoint {
  const configPath = join(path, 'config.json');
  const config = configFromHuggingFace(configPath, readJson(configPath));
  const files: BoundedFile[] = [];
  const close = () => {
    for (const file of files) file.close();
  };
  try {
    const stored = new Map<string, StoredTensor>();
    for (const name of weightFiles(path)) {
      const file = openBoundedFile(join(path, name));
      files.push(file);
      for (const [tensorName, tensor] of readSafetensors(file)) {
        if (stored.has(tensorName))
          throw new WinnowError(
            'ERR_MODEL_FORMAT',
            `${file.path}, ${tensorName}`,
            'each tensor in one shard',
            'a second one',
          );
        stored.set(tensorName, { ...tensor, file });
      }
    }
    const tensors = collect(path, config, 'safetensors', ({ huggingFace }) => stored.get(huggingFace), stored.keys());
    return { path, format: 'safetensors', config, tensors, close };
  } catch (error) {
    close();
    throw error;
  }
}

function weightFiles(path: string): string[] {
  const index = join(path, 'model.safetensors.index.json');
  if (existsSync(index)) return shardNames(index, readFileSync(index, 'utf8'));
  if (existsSync(join(path, 'model.safetensors'))) return ['model.safetensors'];
  throw new WinnowError(
    'ERR_MISSING',
    path,
    'model.safetensors or model.safetensors.index.json',
    'neither',
    'Only safetensors weights are read.',
  );
}

/** Parsed JSON of a model directory's file. Throws: ERR_MISSING, ERR_MODEL_FORMAT. */
export function readJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new WinnowError('ERR_MISSING', path, 'a readable file', (error as NodeJS.ErrnoException).code);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new WinnowError('ERR_MODEL_FORMAT', path, 'JSON', (error as Error).message);
  }
}

function collect(
  path: string,
  config: ModelConfig,
  format: FileFormat,
  find: (expected: ExpectedTensor) => StoredTensor | undefined,
  names: Iterable<string>,
): Map<string, CheckpointTensor> {
  const tensors = new Map<string, CheckpointTensor>();
  const wanted = expectedTensors(config);
  const nameOf = (expected: ExpectedTensor): string => (format === 'gguf' ? expected.gguf : expected.huggingFace);
  for (const expected of wanted) {
    const fileName = nameOf(expected);
    const stored = find(expected);
    if (stored === undefined)
      throw new WinnowError(
        'ERR_MODEL_FORMAT',
        path,
        `a tensor ${fileName}`,
        'none of that name',
        'The checkpoint is incomplete.',
      );
    const { type, shape, file } = stored;
    const whole = expected.within === undefined ? expected.shape : [expected.within.rows, ...expected.shape.slice(1)];
    if (shape.length !== whole.length || shape.some((size, axis) => size !== whole[axis])) {
      throw new WinnowError(
        'ERR_MODEL_FORMAT',
        `${file.path}, ${fileName} at byte ${stored.byteOffset}`,
        `shape [${whole.join(', ')}]`,
        `[${shape.join(', ')}]`,
      );
    }
    const rowBytes = expected.within === undefined ? 0 : stored.byteLength / expected.within.rows;
    const byteOffset = stored.byteOffset + (expected.within?.firstRow ?? 0) * rowBytes;
    const byteLength = expected.within === undefined ? stored.byteLength : expected.shape[0]! * rowBytes;
    tensors.set(expected.name, {
      name: expected.name,
      type,
      shape: expected.shape,
      get bytes() {
        return file.read(byteOffset, byteLength, fileName);
      },
      byteOffset: 0,
      byteLength,
      interleavedHeads: format === 'gguf' ? expected.rotaryHeads : 0,
    });
  }
  refuseUnknown(path, format, names, new Set(wanted.map(nameOf)));
  return tensors;
}

/** A layer's tensor that the recipe has no place for would be left out in silence: a bias, a norm, an expert. */
function refuseUnknown(path: string, format: FileFormat, stored: Iterable<string>, wanted: ReadonlySet<string>): void {
  const ofLayer = format === 'gguf' ? /^blk\.\d+\./ : /^model\.layers\.\d+\./;
  for (const name of stored) {
    // Old files keep the rotary frequencies, which follow from the configuration.
    if (!ofLayer.test(name) || wanted.has(name) || name.endsWith('.rotary_emb.inv_freq')) continue;
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${path}, ${name}`,
      "tensors that this family's layers have",
      'one more',
      'The model differs from its family in a way that is not known here.',
    );
  }
}
