/** How the hidden states of a text become one vector: the module list of sentence-transformers. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../../core/errors.js';
import { readJson } from '../checkpoint.js';

export interface Pooling {
  /** mean over all tokens, or the first token. */
  readonly kind: 'mean' | 'cls';
  /** The vector gets length 1. */
  readonly normalise: boolean;
}
export interface SentenceSettings extends Pooling {
  /** Tokens of a text, if the files limit them further than the model does. */
  readonly maxTokens: number | undefined;
  readonly lowerCase: boolean;
}

/** Without modules.json: the mean, as it is. Throws: ERR_UNSUPPORTED for other modules and kinds of pooling, ERR_MODEL_FORMAT. */
export const readSentenceSettings = (folder: string): SentenceSettings => {
  const limits = optional(join(folder, 'sentence_bert_config.json'));
  const length = limits.max_seq_length;
  const common = {
    maxTokens: typeof length === 'number' && Number.isInteger(length) && length > 0 ? length : undefined,
    lowerCase: limits.do_lower_case === true,
  };
  const where = join(folder, 'modules.json');
  if (!existsSync(where)) return { kind: 'mean', normalise: false, ...common };
  const modules = readJson(where);
  if (!Array.isArray(modules)) throw new WinnowError('ERR_MODEL_FORMAT', where, 'a list of modules', modules);
  let kind: Pooling['kind'] = 'mean';
  let normalise = false;
  for (const module of modules as { type?: unknown; path?: unknown }[]) {
    const type = String(module?.type ?? '');
    if (/\bTransformer$/.test(type)) continue;
    if (/\bNormalize$/.test(type)) normalise = true;
    else if (/\bPooling$/.test(type)) kind = poolingKind(folder, String(module.path ?? ''));
    else {
      throw new WinnowError(
        'ERR_UNSUPPORTED',
        where,
        'Transformer, Pooling and Normalize',
        type,
        'Choose an encoder without further modules.',
      );
    }
  }
  return { kind, normalise, ...common };
};

const poolingKind = (folder: string, path: string): Pooling['kind'] => {
  if (!/^[\w][\w.-]*$/.test(path))
    throw new WinnowError('ERR_MODEL_FORMAT', join(folder, 'modules.json'), 'a folder beside it', path);
  const where = join(folder, path, 'config.json');
  const config = readJson(where) as Record<string, unknown>;
  const named = config.pooling_mode;
  const chosen =
    typeof named === 'string'
      ? [named]
      : Object.keys(config)
          .filter((key) => key.startsWith('pooling_mode_') && config[key] === true)
          .map((key) => key.slice('pooling_mode_'.length).replace(/_tokens?$/, ''));
  const [kind] = chosen;
  if (chosen.length === 1 && (kind === 'mean' || kind === 'cls')) return kind;
  throw new WinnowError('ERR_UNSUPPORTED', where, 'mean or cls pooling', chosen.join(', ') || undefined);
};

const optional = (path: string): Record<string, unknown> =>
  existsSync(path) ? (readJson(path) as Record<string, unknown>) : {};

/** hidden [tokens, D], row-major, to [D]. */
export const pool = (hidden: Float32Array, width: number, { kind, normalise }: Pooling): Float32Array => {
  const tokens = hidden.length / width;
  const sums = new Float64Array(width);
  const read = kind === 'cls' ? 1 : tokens;
  for (let token = 0; token < read; token++) for (let i = 0; i < width; i++) sums[i]! += hidden[token * width + i]!;
  const vector = Float32Array.from(sums, (sum) => sum / read);
  return normalise ? unit(vector) : vector;
};

/** The vector with length 1; zeros stay zeros. */
export const unit = (vector: Float32Array): Float32Array => {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return vector.map((value) => value / Math.max(length, 1e-12));
};
