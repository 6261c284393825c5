import { WinnowError } from '../../core/errors.js';
import { defineCommand } from '../command.js';
import { json, required, text, words } from '../flags.js';

export const merge = defineCommand({
  name: 'merge',
  summary: 'Put parts of one suite that were run apart, by task, method or length, together in a new run directory.',
  positionals: { dir: required(text('The first run directory.', 'DIR')) },
  required: 1,
  flags: {
    with: required(words('Another run directory; give the flag again for more.', 'DIR')),
    out: required(text('The new run directory.', 'DIR')),
    json,
  },
  examples: [
    ['$0 merge runs/needles --with runs/questions --out runs/all', 'cells of both; equal cells must be equal'],
  ],
  async run({ dir, with: others, out, json: asJson }, terminal) {
    if (others.includes(dir))
      throw new WinnowError('ERR_USAGE', '--with', 'another run directory', dir, 'Name each run once.');
    const [{ mergeRuns }, { reportRun }] = await Promise.all([
      import('../../results/merge-runs.js'),
      import('../../results/report.js'),
    ]);
    const run = mergeRuns([dir, ...others], out);
    const { summary } = await reportRun(out);
    if (asJson) terminal.printJson({ out, id: run.id, cells: summary.cells.length });
    else terminal.print(`${run.id}: ${summary.cells.length} cells of ${1 + others.length} runs. Written to ${out}.`);
    return 0;
  },
});
