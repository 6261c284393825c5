import path from 'node:path';
import { type ExitCode, WinnowError } from '../core/errors.js';
import type { Values } from './command.js';
import type { engineFlags } from './engine-flags.js';
import type { Terminal } from './terminal.js';

export type HeadValues = Values<typeof engineFlags> & {
  readonly model: string | undefined;
  readonly method: string | undefined;
  readonly textFile: readonly string[] | undefined;
  readonly texts: number | undefined;
  readonly seed: number | undefined;
  readonly out: string | undefined;
  readonly json: boolean;
};

/** Generated texts, where no file is given: eight of about 2000 tokens. */
const DEFAULT_TEXTS = 8;
const CHARACTERS = 8_000;

/** `winnow profile heads`: runs a method's calibration over texts and writes what it found as a profile of the model. */
export const profileHeads = async (values: HeadValues, terminal: Terminal): Promise<ExitCode> => {
  const { method, out, textFile, texts, seed = 0 } = values;
  if (method === undefined) throw missing('--method', 'the method to calibrate', 'Name one: --method ./mine.ts.');
  if (out === undefined) throw missing('--out', 'where the profile goes', 'Give a file: --out mine.safetensors.');
  if (textFile !== undefined && texts !== undefined)
    throw new WinnowError('ERR_USAGE', '--texts', 'generated texts or --text-file', texts, 'Give only one of them.');
  const [{ openModel }, { methodRef }, { calibrationTexts }, { readText }, { readFileSync }, { sha256Hex }] =
    await Promise.all([
      import('./open-model.js'),
      import('../methods/load.js'),
      import('../datasets/calibration.js'),
      import('./prompt-flags.js'),
      import('node:fs'),
      import('../core/canonical-json.js'),
    ]);
  const read =
    textFile === undefined
      ? calibrationTexts(seed, texts ?? DEFAULT_TEXTS, CHARACTERS)
      : await Promise.all(textFile.map((file) => readText('--text-file', file)));
  const file = path.resolve(out);
  const { engine, model } = await openModel(values, terminal);
  try {
    const request = { method: methodRef(method), texts: read, seed, out: file };
    const header = await engine.calibrate(request, terminal.signal);
    const found = { model: model.id, file, sha256: sha256Hex(readFileSync(file)), header };
    if (values.json) terminal.printJson(found);
    else
      terminal.print(`${method} calibrated on ${model.id} over ${read.length} texts: ${file} (sha256 ${found.sha256})`);
    return 0;
  } finally {
    await engine.close();
  }
};

const missing = (where: string, expected: string, fix: string): WinnowError =>
  new WinnowError('ERR_USAGE', where, expected, undefined, fix);
