import { defineCommand } from '../command.js';
import { licenceFlag } from '../engine-flags.js';
import { json, required, text } from '../flags.js';

export const rerun = defineCommand({
  name: 'rerun',
  summary:
    'Run the configuration of a finished run again and compare, cell by cell. Exit code 1 when anything but times differs.',
  positionals: { dir: required(text('A finished run directory.', 'DIR')) },
  required: 1,
  flags: {
    out: text('The new run directory. Default: the old name with -rerun.', 'DIR'),
    model: text('Where the model is now; its hash must be that of the run. Default: as in the run.', 'M'),
    ...licenceFlag,
    json,
  },
  examples: [['$0 rerun results/runs/quickstart-1a2b3c4d5e', 'does the same come out here?']],
  async run(values, terminal) {
    const { rerun: runAgain } = await import('../rerun.js');
    return runAgain(values, terminal);
  },
});
