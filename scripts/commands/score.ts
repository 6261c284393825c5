import { defineCommand } from '../command.js';
import { json, required, text } from '../flags.js';

export const score = defineCommand({
  name: 'score',
  summary: 'Score the saved outputs of a run by the rules of this version, into a new run directory. No model runs.',
  positionals: { dir: required(text('A finished run directory; it stays as it is.', 'DIR')) },
  required: 1,
  flags: { out: required(text('The new run directory.', 'DIR')), json },
  examples: [['$0 score results/runs/quickstart-1a2b3c4d5e --out results/runs/rescored', 'how many scores changed']],
  async run({ dir, out, json: asJson }, terminal) {
    const [{ scoreRun }, { rescore }, { reportRun }] = await Promise.all([
      import('../../results/score-run.js'),
      import('../../suites/rescore.js'),
      import('../../results/report.js'),
    ]);
    const change = scoreRun(dir, out, rescore);
    await reportRun(out);
    if (asJson) terminal.printJson({ out, ...change });
    else terminal.print(`${change.changed} of ${change.samples} scores are other ones now. Written to ${out}.`);
    if (change.unknownTasks.length > 0)
      terminal.note(`Kept as they were, since this version has no such task: ${change.unknownTasks.join(', ')}.`);
    return 0;
  },
});
