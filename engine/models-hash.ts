/** sha256 of model files. Hashing gigabytes takes seconds, so a result is kept for as long as the file looks untouched. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { sha256Hex } from '../core/canonical-json.js';
import { WinnowError } from '../core/errors.js';
import { writeFileAtomic } from '../core/files.js';
import { ggufShardPaths } from './gguf-shards.js';
import { cacheFolder } from './models-cache.js';

interface KnownHash {
  readonly bytes: number;
  readonly mtimeMs: number;
  readonly inode: number;
  readonly sha256: string;
}

const hashesPath = (): string => join(cacheFolder(), 'hashes.json');
const chunkBytes = 4 << 20;

/** sha256 of a file; `fresh` reads it even if a kept result would do. */
export async function hashFile(path: string, fresh = false): Promise<string> {
  const full = resolve(path);
  const { size: bytes, mtimeMs, ino: inode } = statSync(full);
  const known = readHashes()[full];
  const isSame = known !== undefined && known.bytes === bytes && known.mtimeMs === mtimeMs && known.inode === inode;
  if (isSame && !fresh) return known.sha256;
  const sha256 = await readAndHash(full);
  keepHash(full, { bytes, mtimeMs, inode, sha256 });
  return sha256;
}

/** Files of a model directory that decide what the model says. */
const modelFile =
  /^(config|generation_config|tokenizer|tokenizer_config)\.json$|^chat_template\.jinja$|\.safetensors$|\.safetensors\.index\.json$/;

/** A Hugging Face directory, or a GGUF in several files, is named by the sha256 of the list of its files' names and hashes. */
export async function hashModel(path: string, fresh = false): Promise<string> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined)
    throw new WinnowError('ERR_MISSING', path, 'a model file or directory', 'nothing there', 'Check the path.');
  const shards = ggufShardPaths(path);
  if (!stat.isDirectory() && shards.length === 1) return hashFile(path, fresh);
  const paths = stat.isDirectory()
    ? (await readdir(path)).filter((file) => modelFile.test(file)).map((name) => join(path, name))
    : shards.filter((shard) => existsSync(shard));
  const lines: string[] = [];
  for (const file of paths.sort()) lines.push(`${await hashFile(file, fresh)}  ${basename(file)}\n`);
  return sha256Hex(lines.join(''));
}

async function readAndHash(path: string): Promise<string> {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(chunkBytes);
  const file = await open(path);
  try {
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, chunkBytes, null);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(chunk.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

function readHashes(): Record<string, KnownHash> {
  try {
    const json: unknown = JSON.parse(readFileSync(hashesPath(), 'utf8'));
    return typeof json === 'object' && json !== null ? (json as Record<string, KnownHash>) : {};
  } catch {
    // Absent or damaged: everything is hashed anew.
    return {};
  }
}

function keepHash(path: string, hash: KnownHash): void {
  try {
    mkdirSync(cacheFolder(), { recursive: true });
    writeFileAtomic(hashesPath(), `${JSON.stringify({ ...readHashes(), [path]: hash }, undefined, 1)}\n`);
  } catch {
    // A cache that cannot be written costs time, nothing else.
  }
}
