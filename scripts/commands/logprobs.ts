import { defineCommand } from '../command.js';
import { engineFlags } from '../engine-flags.js';
import { flag, json, required, text, words } from '../flags.js';
import { readText, settingFlags, settingOf } from '../prompt-flags.js';

export const logprobs = defineCommand({
  name: 'logprobs',
  summary: 'Log-probabilities of given continuations after a prompt, with or without a method.',
  positionals: {},
  required: 0,
  flags: {
    model: text('A model of the manifest, a GGUF file or a Hugging Face folder. Default: the default model.', 'M'),
    promptFile: required(text('File that holds the prompt; - reads stdin.', 'F')),
    raw: flag('Feed the file as it is: no chat template, no added special tokens.'),
    continuation: required(words('Text to score after the prompt; give the flag again for another one.', 'TEXT')),
    ...settingFlags,
    ...engineFlags,
    json,
  },
  examples: [
    ['$0 logprobs --prompt-file q.txt --raw --continuation " yes" --continuation " no"', 'which answer is likelier'],
  ],
  async run(values, terminal) {
    const [{ openModel }, { alignColumns }] = await Promise.all([import('../open-model.js'), import('../columns.js')]);
    const prompt = await readText('--prompt-file', values.promptFile);
    const setting = await settingOf('logprobs', values);
    const { engine } = await openModel(values, terminal);
    try {
      const continuations = values.continuation;
      const request = { text: prompt, raw: values.raw, continuations, ...(setting === undefined ? {} : { setting }) };
      const outcome = await engine.score(request, terminal.signal);
      const rows = outcome.continuations.map((score, i) => ({ text: continuations[i]!, ...score }));
      if (values.json) terminal.printJson({ promptTokens: outcome.promptTokens, continuations: rows });
      else {
        const lines = rows.map((row) => [
          JSON.stringify(row.text),
          String(row.tokenIds.length),
          row.total.toFixed(4),
          (row.total / row.tokenIds.length).toFixed(4),
          row.isGreedy ? 'yes' : 'no',
        ]);
        terminal.print(alignColumns([['continuation', 'tokens', 'log-probability', 'per token', 'greedy'], ...lines]));
      }
      return 0;
    } finally {
      await engine.close();
    }
  },
});
