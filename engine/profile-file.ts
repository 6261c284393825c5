/**
 * Profiles on disk: one safetensors file of f32 tensors whose metadata holds the header as JSON under `winnow.profile`.
 *
 * The header says for which model, method and parameters the profile was made; it holds no date and no path, so that the same
 * calibration writes the same bytes. A file may come from a stranger: everything is checked before it is used.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { canonicalJson, contentHash } from '../core/canonical-json.js';
import { WinnowError } from '../core/errors.js';
import { writeFileAtomic } from '../core/files.js';
import type { ModelFacts } from '../methods/contract.js';
import { openBoundedFile } from './checkpoint-file.js';
import { readSafetensors, safetensorsMetadata } from './safetensors.js';

const key = 'winnow.profile';

const headerSchema = z.strictObject({
  format: z.literal(1),
  /** Version of the tool that calibrated. */
  tool: z.string(),
  model: z.strictObject({ id: z.string(), sha256: z.string() }),
  /** Query heads, KV heads and head dim of each layer. */
  layers: z.array(z.tuple([z.int(), z.int(), z.int()])),
  method: z.strictObject({ id: z.string(), params: z.record(z.string(), z.unknown()) }),
  calibration: z.strictObject({ seed: z.int(), texts: z.int(), textsSha256: z.string() }),
  /** What the method itself wrote. */
  own: z.record(z.string(), z.unknown()),
});
export type ProfileHeader = z.infer<typeof headerSchema>;

export interface ProfileTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}
export interface ProfileData {
  readonly header: ProfileHeader;
  readonly tensors: ReadonlyMap<string, ProfileTensor>;
}

/** What a profile must have been made for. */
export interface ProfileUse {
  readonly facts: ModelFacts;
  readonly method: { readonly id: string; readonly params: object };
}

export const profileHeader = (
  { facts, method }: ProfileUse,
  calibration: { readonly seed: number; readonly texts: readonly string[] },
  own: Readonly<Record<string, unknown>>,
): ProfileHeader => ({
  format: 1,
  tool: toolVersion(),
  model: { id: facts.id, sha256: facts.sha256 },
  layers: headsOf(facts),
  method: { id: method.id, params: { ...method.params } },
  calibration: {
    seed: calibration.seed,
    texts: calibration.texts.length,
    textsSha256: contentHash(calibration.texts),
  },
  own,
});

export const saveProfile = (path: string, { header, tensors }: ProfileData): void => {
  const names = [...tensors.keys()].sort();
  const entries: Record<string, object> = { __metadata__: { [key]: canonicalJson(header) } };
  let offset = 0;
  for (const name of names) {
    const { shape, values } = tensors.get(name)!;
    entries[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + values.byteLength] };
    offset += values.byteLength;
  }
  const json = Buffer.from(JSON.stringify(entries));
  const head = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(head.length));
  const bytes = names.map((name) => {
    const { values } = tensors.get(name)!;
    return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  });
  writeFileAtomic(path, Buffer.concat([length, head, ...bytes]));
};

/**
 * Reads a profile and holds it against its use.
 * Throws: ERR_MISSING, ERR_MODEL_FORMAT — damaged or truncated, ERR_UNSUPPORTED — made for another model, method or parameters.
 */
export const loadProfile = (path: string, use: ProfileUse): ProfileData => {
  const file = openBoundedFile(path);
  try {
    const header = parseHeader(path, safetensorsMetadata(file)[key]);
    checkUse(path, header, use);
    const tensors = new Map<string, ProfileTensor>();
    for (const { name, type, shape, byteOffset, byteLength } of readSafetensors(file).values()) {
      if (type !== 'F32') throw new WinnowError('ERR_MODEL_FORMAT', `${path}, ${name}`, 'F32', type);
      const bytes = file.read(byteOffset, byteLength, name);
      const values = new Float32Array(byteLength / 4);
      for (let i = 0; i < values.length; i++) values[i] = bytes.readFloatLE(i * 4);
      tensors.set(name, { shape, values });
    }
    return { header, tensors };
  } finally {
    file.close();
  }
};

const parseHeader = (path: string, text: string | undefined): ProfileHeader => {
  const fix = 'The file is damaged or is no profile.';
  let json: unknown;
  try {
    json = JSON.parse(text ?? 'null');
  } catch (error) {
    throw new WinnowError('ERR_MODEL_FORMAT', `${path}, ${key}`, 'JSON', (error as Error).message, fix);
  }
  const parsed = headerSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new WinnowError('ERR_MODEL_FORMAT', [path, key, ...issue.path].join(', '), issue.message, json, fix);
};

const checkUse = (path: string, header: ProfileHeader, { facts, method }: ProfileUse): void => {
  const refuse = (what: string, expected: unknown, actual: unknown): never => {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${path}, ${what}`,
      `a profile of ${typeof expected === 'string' ? expected : canonicalJson(expected)}`,
      actual,
      'Calibrate again for this model, method and parameters.',
    );
  };
  if (header.model.sha256 !== facts.sha256)
    refuse('model', `${facts.id} (sha256 ${facts.sha256})`, `${header.model.id} (sha256 ${header.model.sha256})`);
  if (canonicalJson(header.layers) !== canonicalJson(headsOf(facts)))
    refuse('layers', headsOf(facts), canonicalJson(header.layers));
  if (header.method.id !== method.id) refuse('method', method.id, header.method.id);
  if (canonicalJson(header.method.params) !== canonicalJson(method.params))
    refuse('parameters', method.params, canonicalJson(header.method.params));
};

const headsOf = (facts: ModelFacts): [number, number, number][] =>
  facts.layers.map((layer) => [layer.numQueryHeads, layer.numKvHeads, layer.headDim]);

const toolVersion = (): string => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
};
