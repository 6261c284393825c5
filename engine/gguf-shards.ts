/** GGUF models in several files, `name-00001-of-00003.gguf` and so on: metadata in the first, tensors in all. */
import { existsSync } from 'node:fs';
import { WinnowError } from '../core/errors.js';
import { type BoundedFile, formatError, openBoundedFile } from './checkpoint-file.js';
import { type Gguf, type GgufTensor, readGguf } from './gguf.js';

const shardName = /-(\d{5})-of-(\d{5})\.gguf$/;

/** Paths of all shards of a first shard, in order; the path itself for any other name. */
export function ggufShardPaths(path: string): string[] {
  const [suffix, own, count] = shardName.exec(path) ?? [];
  if (suffix === undefined || Number(own) !== 1) return [path];
  const stem = path.slice(0, -suffix.length);
  return Array.from(
    { length: Number(count) },
    (_, shard) => `${stem}-${String(shard + 1).padStart(5, '0')}-of-${count}.gguf`,
  );
}

export interface ShardedGguf {
  /** Metadata of the first file, tensors of all. */
  readonly gguf: Gguf;
  /** The file that a tensor's offset is in. */
  fileOf(tensor: GgufTensor): BoundedFile;
  close(): void;
}

/** Throws: ERR_MISSING for a shard that is not there, ERR_USAGE for a later shard given instead of the first, what readGguf throws. */
export function openGgufShards(path: string): ShardedGguf {
  const files: BoundedFile[] = [];
  const close = (): void => {
    for (const file of files) file.close();
  };
  try {
    const open = (shardPath: string): Gguf => {
      files.push(openBoundedFile(shardPath));
      return readGguf(files.at(-1)!);
    };
    const first = open(path);
    const count = splitNumber(first, 'split.count', 1);
    if (count === 1) return { gguf: first, fileOf: () => files[0]!, close };
    const paths = checkedPaths(first, count);
    const tensors = new Map(first.tensors);
    const fileOf = new Map([...tensors.values()].map((tensor) => [tensor, files[0]!]));
    for (const [index, shardPath] of paths.entries()) {
      if (index === 0) continue;
      const shard = open(shardPath);
      for (const [key, expected] of [
        ['split.no', index],
        ['split.count', count],
      ] as const) {
        const actual = splitNumber(shard, key, -1);
        if (actual !== expected) throw formatError(shardPath, key, 0, `${expected}`, actual);
      }
      for (const [name, tensor] of shard.tensors) {
        if (tensors.has(name)) throw formatError(shardPath, 'tensor name', 0, 'each tensor in one shard', name);
        tensors.set(name, tensor);
        fileOf.set(tensor, files[index]!);
      }
    }
    const total = splitNumber(first, 'split.tensors.count', tensors.size);
    if (total !== tensors.size)
      throw formatError(path, 'split.tensors.count', 0, `${tensors.size} tensors, as in the shards`, total);
    return { gguf: { ...first, tensors }, fileOf: (tensor) => fileOf.get(tensor)!, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** The shards that the name and the metadata of a first shard agree on; all of them are there. */
function checkedPaths(first: Gguf, count: number): string[] {
  const number = splitNumber(first, 'split.no', 0);
  const paths = ggufShardPaths(first.path);
  if (number !== 0) {
    throw new WinnowError(
      'ERR_USAGE',
      first.path,
      `the first of ${count} files`,
      `number ${number + 1}`,
      'Give the path that ends in -00001-of-….gguf; the others are found beside it.',
    );
  }
  if (paths.length !== count) {
    throw new WinnowError(
      'ERR_MODEL_FORMAT',
      `${first.path}, split.count`,
      `a name that ends in -00001-of-${String(count).padStart(5, '0')}.gguf`,
      count,
      'Shards are found by their names: give them back the names that they were published with.',
    );
  }
  const missing = paths.findIndex((path) => !existsSync(path));
  if (missing >= 0) {
    throw new WinnowError(
      'ERR_MISSING',
      paths[missing]!,
      `file ${missing + 1} of ${count} of this model`,
      'nothing there',
      'Put all files of the model into one folder.',
    );
  }
  return paths;
}

function splitNumber({ path, metadata }: Gguf, key: string, otherwise: number): number {
  const value = metadata.get(key) ?? otherwise;
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  throw formatError(path, key, 0, 'a whole number', value);
}
