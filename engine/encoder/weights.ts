/** Tensors of an encoder's safetensors files as float32. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../../core/errors.js';
import type { Addon } from '../../native/addon-types.js';
import { type BoundedFile, openBoundedFile } from '../checkpoint-file.js';
import { readSafetensors, type SafetensorsTensor, shardNames } from '../safetensors.js';

export interface EncoderWeights {
  has(name: string): boolean;
  /** f32, row-major. Throws: ERR_MODEL_FORMAT when it is missing or of another shape. */
  tensor(name: string, shape: readonly number[]): Float32Array;
  close(): void;
}

/** Classes around the encoder prefix its names: `bert.encoder…`. */
const prefixes = ['', 'bert.', 'roberta.', 'distilbert.'];
/** Names of LayerNorm's parameters in checkpoints of TensorFlow's time. */
const oldNames = (name: string): string =>
  name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta');

export const weightFilesOf = (folder: string): string[] => {
  const index = join(folder, 'model.safetensors.index.json');
  if (existsSync(index)) return shardNames(index, readFileSync(index, 'utf8'));
  return existsSync(join(folder, 'model.safetensors')) ? ['model.safetensors'] : [];
};

export const openEncoderWeights = (folder: string, addon: Addon): EncoderWeights => {
  const files: BoundedFile[] = [];
  const stored = new Map<string, { readonly file: BoundedFile; readonly info: SafetensorsTensor }>();
  for (const name of weightFilesOf(folder)) {
    const file = openBoundedFile(join(folder, name));
    files.push(file);
    for (const [tensor, info] of readSafetensors(file)) stored.set(tensor, { file, info });
  }
  const find = (name: string) => {
    for (const prefix of prefixes) {
      const found = stored.get(prefix + name) ?? stored.get(prefix + oldNames(name));
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return {
    has: (name) => find(name) !== undefined,
    tensor(name, shape) {
      const found = find(name);
      if (found === undefined)
        throw new WinnowError('ERR_MODEL_FORMAT', folder, `a tensor ${name}`, 'none', 'The checkpoint is incomplete.');
      const { info, file } = found;
      if (info.shape.join() !== shape.join())
        throw new WinnowError('ERR_MODEL_FORMAT', `${file.path}, ${name}`, `shape [${shape}]`, `[${info.shape}]`);
      const length = shape.reduce((product, n) => product * n, 1);
      const bytes = file.read(info.byteOffset, info.byteLength, name);
      const packed = addon.packVector(bytes, 0, info.type, length);
      try {
        return addon.download(packed) as Float32Array;
      } finally {
        addon.free(packed);
      }
    },
    close() {
      for (const file of files) file.close();
    },
  };
};
