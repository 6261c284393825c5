import { readFile } from 'node:fs/promises';
import { WinnowError } from '../../core/errors.js';
import type { SettingRequest } from '../../engine/contract.js';
import { defineCommand } from '../command.js';
import { engineFlags } from '../engine-flags.js';
import { flag, fraction, json, required, text, whole } from '../flags.js';
import { samplingFlags, samplingOf } from '../sampling-flags.js';

export const generate = defineCommand({
  name: 'generate',
  summary: 'Continue one prompt, greedily or by drawing tokens, with or without a method.',
  positionals: {},
  required: 0,
  flags: {
    model: text('A model of the manifest, a GGUF file or a Hugging Face folder. Default: the default model.', 'M'),
    promptFile: required(text('File that holds the prompt; - reads stdin.', 'F')),
    raw: flag('Feed the file as it is: no chat template, no added special tokens.'),
    maxNewTokens: whole('Stop after so many tokens. Default 128.', 'N', 1),
    method: text('A method by name, or ./file.ts. Default: dense.', 'NAME'),
    keptFraction: fraction('Fraction of the context tokens that the method keeps.'),
    tokenBudget: whole('Context tokens that the method keeps.', 'N', 1),
    ...samplingFlags,
    ...engineFlags,
    json,
  },
  examples: [
    ['$0 generate --prompt-file prompt.txt', 'one user turn through the chat template'],
    ['$0 generate --prompt-file p.txt --method snapkv --kept-fraction 0.25 --json', 'with a quarter of the cache'],
  ],
  async run(values, terminal) {
    const { openModel } = await import('../open-model.js');
    const prompt = await readPrompt(values.promptFile);
    const setting = await settingOf(values.method, values.keptFraction, values.tokenBudget);
    const sampling = samplingOf(values);
    const { engine } = await openModel(values, terminal);
    try {
      const outcome = await engine.generate(
        {
          text: prompt,
          raw: values.raw,
          maxNewTokens: values.maxNewTokens ?? 128,
          ...(setting === undefined ? {} : { setting }),
          ...(sampling === undefined ? {} : { sampling }),
        },
        terminal.signal,
      );
      const { promptTokens, tokenIds, text: answer, finishReason } = outcome;
      if (values.json) terminal.printJson({ promptTokens, tokenIds, text: answer, finishReason });
      else terminal.print(answer);
      return 0;
    } finally {
      await engine.close();
    }
  },
});

const readPrompt = async (file: string): Promise<string> => {
  const bytes = file === '-' ? await readStandardInput() : await readFile(file);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new WinnowError('ERR_USAGE', '--prompt-file', 'UTF-8 text', file, 'Convert the file to UTF-8.');
  }
};

const readStandardInput = async (): Promise<Uint8Array> => {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
};

const settingOf = async (
  word: string | undefined,
  keptFraction: number | undefined,
  tokenBudget: number | undefined,
): Promise<SettingRequest | undefined> => {
  if (keptFraction !== undefined && tokenBudget !== undefined) {
    throw new WinnowError('ERR_USAGE', '--token-budget', 'one budget', '--kept-fraction too', 'Give only one of them.');
  }
  if (word === undefined) {
    if (keptFraction === undefined && tokenBudget === undefined) return undefined;
    throw new WinnowError(
      'ERR_USAGE',
      '--method',
      'the method that the budget is for',
      undefined,
      'Name one, for example --method snapkv.',
    );
  }
  const { methodRef } = await import('../../methods/load.js');
  return {
    key: 'generate',
    method: methodRef(word),
    ...(keptFraction === undefined ? {} : { keptFraction }),
    ...(tokenBudget === undefined ? {} : { tokenBudget }),
  };
};
