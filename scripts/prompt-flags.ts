import { readFile } from 'node:fs/promises';
import { WinnowError } from '../core/errors.js';
import type { SettingRequest } from '../engine/contract.js';
import type { Values } from './command.js';
import { fraction, text, whole } from './flags.js';

/** One method with one budget: the flags of commands that feed one prompt. */
export const settingFlags = {
  method: text('A method by name, or ./file.ts. Default: dense.', 'NAME'),
  keptFraction: fraction('Fraction of the context tokens that the method keeps.'),
  tokenBudget: whole('Context tokens that the method keeps.', 'N', 1),
  profile: text('What the method found out on calibration text: a profile of this model.', 'FILE'),
} as const;

/** A file as text; `-` reads stdin. Throws ERR_USAGE for what is not UTF-8. */
export const readText = async (flag: string, file: string): Promise<string> => {
  const bytes = file === '-' ? await readStandardInput() : await readFile(file);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new WinnowError('ERR_USAGE', flag, 'UTF-8 text', file, 'Convert the file to UTF-8.');
  }
};

const readStandardInput = async (): Promise<Uint8Array> => {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
};

/** Undefined: dense. Throws ERR_USAGE for a budget without its method, and for two budgets. */
export const settingOf = async (
  key: string,
  { method: word, keptFraction, tokenBudget, profile }: Values<typeof settingFlags>,
): Promise<SettingRequest | undefined> => {
  if (keptFraction !== undefined && tokenBudget !== undefined) {
    throw new WinnowError('ERR_USAGE', '--token-budget', 'one budget', '--kept-fraction too', 'Give only one of them.');
  }
  if (word === undefined) {
    if (keptFraction === undefined && tokenBudget === undefined && profile === undefined) return undefined;
    throw new WinnowError(
      'ERR_USAGE',
      '--method',
      `the method that the ${profile === undefined ? 'budget' : 'profile'} is for`,
      undefined,
      'Name one, for example --method snapkv.',
    );
  }
  const { methodRef } = await import('../methods/load.js');
  return {
    key,
    method: { ...methodRef(word), ...(profile === undefined ? {} : { profile }) },
    ...(keptFraction === undefined ? {} : { keptFraction }),
    ...(tokenBudget === undefined ? {} : { tokenBudget }),
  };
};
