import { defineCommand } from '../command.js';
import { choices, required, text } from '../flags.js';
import { suiteFlags } from '../suite-flags.js';

export const run = defineCommand({
  name: 'run',
  summary: 'Run a suite and leave a run directory with CSV, charts and a report. The same command again continues it.',
  positionals: { suite: required(text('A suite file or the name of a suite in suites/.', 'SUITE')) },
  required: 1,
  flags: {
    ...suiteFlags,
    trace: choices('Also record which positions each layer and head kept.', ['kept']),
    out: text(
      'The run directory. Default: results/runs/ and a name made from the suite and all that decides its results.',
      'DIR',
    ),
  },
  examples: [
    ['$0 run suites/quickstart.yaml', 'the default model, all methods'],
    [
      '$0 run quickstart --method snapkv,./mine.ts --kept-fraction 0.5 --limit 5',
      'your own method beside snapkv and dense',
    ],
    ['$0 run quickstart --pass timing', 'times of the same settings, interleaved'],
  ],
  async run(values, terminal) {
    const { runFromFlags } = await import('../run-suite.js');
    return runFromFlags(values, terminal);
  },
});
