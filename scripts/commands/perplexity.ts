import path from 'node:path';
import { mean, sum } from '../../core/statistics.js';
import { defineCommand } from '../command.js';
import { engineFlags } from '../engine-flags.js';
import { flag, json, length, required, text } from '../flags.js';
import { readText } from '../prompt-flags.js';

export const perplexity = defineCommand({
  name: 'perplexity',
  summary: 'Perplexity and bits per byte of a long text in overlapping windows.',
  positionals: {},
  required: 0,
  flags: {
    model: text('A model of the manifest, a GGUF file or a Hugging Face folder. Default: the default model.', 'M'),
    textFile: required(text('File that holds the text; - reads stdin.', 'F')),
    window: length("Tokens of one window. Default: the model's positions."),
    stride: length('Tokens from one window to the next. Default: half a window.'),
    bos: flag("Begin every text with the model's begin-of-text token."),
    out: text('Write the negative log-likelihood of each token but the first, in nats: float32.', 'x.npy'),
    ...engineFlags,
    json,
  },
  examples: [['$0 perplexity --text-file book.txt --window 4k', 'every token with 2k to 4k tokens before it']],
  async run(values, terminal) {
    const { openModel } = await import('../open-model.js');
    const content = await readText('--text-file', values.textFile);
    const { engine, model } = await openModel(values, terminal);
    try {
      const window = values.window ?? engine.facts.maxPositions;
      const stride = values.stride ?? Math.max(1, Math.floor(window / 2));
      const outcome = await engine.perplexity({ text: content, bos: values.bos, window, stride }, terminal.signal);
      const { tokens, windows, nll, scoredBytes } = outcome;
      const nllPerToken = mean(nll);
      const found = {
        model: model.id,
        tokens,
        scoredTokens: nll.length,
        scoredBytes,
        windows,
        window,
        stride,
        nllPerToken,
        perplexity: Math.exp(nllPerToken),
        bitsPerByte: sum(nll) / Math.LN2 / scoredBytes,
      };
      if (values.out !== undefined) {
        const [{ encodeNpy }, { writeFileAtomic }] = await Promise.all([
          import('../npy.js'),
          import('../../core/files.js'),
        ]);
        writeFileAtomic(path.resolve(values.out), encodeNpy(Float32Array.from(nll), [nll.length]));
      }
      if (values.json) terminal.printJson(found);
      else {
        terminal.print(
          `perplexity ${found.perplexity.toFixed(4)}, ${found.bitsPerByte.toFixed(4)} bits per byte: ` +
            `${found.scoredTokens} tokens, ${scoredBytes} bytes, ${windows} windows of ${window}, stride ${stride}`,
        );
      }
      return 0;
    } finally {
      await engine.close();
    }
  },
});
