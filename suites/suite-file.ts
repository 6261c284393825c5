import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { contentHash, sha256Hex } from '../core/canonical-json.js';
import { WinnowError } from '../core/errors.js';
import { suggestName } from '../core/nearest-name.js';
import type { ResolvedSuite } from './contract.js';
import { checkData } from './schema-problem.js';
import { readDocument } from './suite-file-document.js';
import { applyOverrides, type SuiteOverrides } from './suite-file-overrides.js';
import { resolveSuite } from './suite-file-resolve.js';
import { suiteFileSchema } from './suite-file-schema.js';

export interface LoadedSuite {
  readonly suite: ResolvedSuite;
  /** Of the canonical JSON of `suite`: every default and override in it. */
  readonly sha256: string;
  /** As messages name it: from where the command runs. */
  readonly file: string;
  readonly fileSha256: string;
}

export interface SuiteSummary {
  readonly id: string;
  readonly version: number;
  readonly question: string;
  readonly file: string;
}

/**
 * A suite by its id (one of this folder) or by the path of a YAML file, with the command line's changes applied.
 *
 * Throws ERR_SUITE with `file:line:column` for what is wrong in the file, ERR_USAGE for an unknown id, task or method of the command
 * line, ERR_MISSING for a file that is not there.
 */
export const loadSuite = async (idOrPath: string, overrides: SuiteOverrides = {}): Promise<LoadedSuite> => {
  const path = suitePath(idOrPath);
  const file = shownPath(path);
  const text = readText(path, file);
  const suite = await applyOverrides(await parseSuite(text, file, dirname(path)), overrides);
  return { suite, sha256: contentHash(suite), file, fileSha256: sha256Hex(text) };
};

/** The suite of a YAML text. `file` names it in errors; files inside it start at `folder`. */
export const parseSuite = async (text: string, file: string, folder: string): Promise<ResolvedSuite> => {
  const { data, errorAt } = readDocument(text, file);
  const checked = checkData(suiteFileSchema, data);
  if ('problem' in checked) throw errorAt(checked.problem);
  return resolveSuite(checked.value, { errorAt, folder });
};

/** The suites of this folder, by name. */
export const listSuites = (): readonly SuiteSummary[] =>
  suiteIds().map((id) => {
    const path = suitePath(id);
    const file = shownPath(path);
    const { data, errorAt } = readDocument(readText(path, file), file);
    const checked = checkData(suiteFileSchema, data);
    if ('problem' in checked) throw errorAt(checked.problem);
    const { version, question } = checked.value;
    return { id: checked.value.id, version, question, file };
  });

const FOLDER = fileURLToPath(new URL('.', import.meta.url));

const suiteIds = (): readonly string[] =>
  readdirSync(FOLDER)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => basename(name, '.yaml'))
    .sort();

const suitePath = (idOrPath: string): string => {
  if (/[/\\]|\.ya?ml$/.test(idOrPath)) return idOrPath;
  const ids = suiteIds();
  if (ids.includes(idOrPath)) return `${FOLDER}${idOrPath}.yaml`;
  throw new WinnowError(
    'ERR_USAGE',
    'suite',
    'a suite id or the path of a .yaml file',
    idOrPath,
    suggestName(idOrPath, ids),
  );
};

const shownPath = (path: string): string => {
  const fromHere = relative(process.cwd(), path);
  return fromHere.startsWith('..') ? path : fromHere;
};

/** Far above any suite; a larger file was named by mistake. */
const MAX_BYTES = 1 << 20;

const readText = (path: string, file: string): string => {
  try {
    if (statSync(path).size > MAX_BYTES) {
      throw new WinnowError('ERR_SUITE', file, 'a suite file of at most 1 MiB', `${statSync(path).size} bytes`);
    }
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (cause instanceof WinnowError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new WinnowError(
      'ERR_MISSING',
      file,
      'a suite file that can be read',
      reason,
      'Correct the path, or see: winnow list suites.',
    );
  }
};
