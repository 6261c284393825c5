import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { WinnowError } from '../../core/errors.js';
import { defineCommand } from '../command.js';
import { choice, flag, required, text } from '../flags.js';

export const init = defineCommand({
  name: 'init',
  summary: 'Write a gate policy and a workflow for GitHub that runs a suite and gates it.',
  positionals: { what: required(choice('What to write.', ['ci'])) },
  required: 1,
  flags: {
    out: text('The folder to write into. Default: the current one.', 'DIR'),
    force: flag('Replace files that are there.'),
  },
  examples: [['$0 init ci', '.github/workflows/winnow.yml, gate.yaml and gate.schema.json']],
  async run({ out, force }, terminal) {
    const [{ ciFiles }, { writeFileAtomic }] = await Promise.all([
      import('../../results/gate/ci-files.js'),
      import('../../core/files.js'),
    ]);
    const folder = path.resolve(out ?? '.');
    const files = Object.entries(ciFiles()).map(([name, content]) => ({ file: path.join(folder, name), content }));
    const taken = files.find(({ file }) => existsSync(file));
    if (taken !== undefined && !force)
      throw new WinnowError('ERR_USAGE', taken.file, 'no such file yet', 'a file', 'Add --force to replace it.');
    for (const { file, content } of files) {
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileAtomic(file, content);
      terminal.print(file);
    }
    return 0;
  },
});
