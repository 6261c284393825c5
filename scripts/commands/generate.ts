import { defineCommand } from '../command.js';
import { engineFlags } from '../engine-flags.js';
import { flag, json, required, text, whole } from '../flags.js';
import { readText, settingFlags, settingOf } from '../prompt-flags.js';
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
    ...settingFlags,
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
    const prompt = await readText('--prompt-file', values.promptFile);
    const setting = await settingOf('generate', values);
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
