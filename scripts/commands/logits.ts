import path from 'node:path';
import { WinnowError } from '../../core/errors.js';
import type { ModelFacts } from '../../methods/contract.js';
import { defineCommand } from '../command.js';
import { engineFlags } from '../engine-flags.js';
import { json, required, text, tokenIds } from '../flags.js';

export const logits = defineCommand({
  name: 'logits',
  summary: 'Write the logits of every position of a token sequence as a NumPy file.',
  positionals: {},
  required: 0,
  flags: {
    model: text('A model of the manifest, a GGUF file or a Hugging Face folder. Default: the default model.', 'M'),
    ids: required(tokenIds('Token ids, in order.')),
    out: required(text('File to write: float32, one row for each position.', 'x.npy')),
    ...engineFlags,
    json,
  },
  examples: [['$0 logits --ids 1,4093,198 --numerics reference --out logits.npy', 'the same bits on every machine']],
  async run(values, terminal) {
    const [{ openModel }, { encodeNpy }, { writeFileAtomic }] = await Promise.all([
      import('../open-model.js'),
      import('../npy.js'),
      import('../../core/files.js'),
    ]);
    const { engine } = await openModel(values, terminal);
    try {
      checkIds(values.ids, engine.facts);
      const rows = await engine.logits(Int32Array.from(values.ids), terminal.signal);
      const shape = [values.ids.length, rows.length / values.ids.length];
      writeFileAtomic(path.resolve(values.out), encodeNpy(rows, shape));
      if (values.json) terminal.printJson({ out: values.out, shape, dtype: 'float32' });
      else terminal.note(`Wrote ${values.out}: float32 ${shape.join(' x ')}`);
      return 0;
    } finally {
      await engine.close();
    }
  },
});

const checkIds = (ids: readonly number[], { vocabSize, maxPositions, id: model }: ModelFacts): void => {
  const unknown = ids.find((id) => id >= vocabSize);
  if (unknown !== undefined) {
    throw new WinnowError(
      'ERR_USAGE',
      '--ids',
      `ids from 0 to ${vocabSize - 1}`,
      unknown,
      `${model} has no other tokens.`,
    );
  }
  if (ids.length > maxPositions) {
    throw new WinnowError('ERR_USAGE', '--ids', `at most ${maxPositions} ids, the positions of ${model}`, ids.length);
  }
};
