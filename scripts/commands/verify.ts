import { defineCommand } from '../command.js';
import { json, required, text } from '../flags.js';

export const verify = defineCommand({
  name: 'verify',
  summary: 'Check a run directory: hashes, records, and every score again from the saved outputs. Writes nothing.',
  positionals: { dir: required(text('A run directory.', 'DIR')) },
  required: 1,
  flags: { json },
  examples: [
    ['$0 verify results/runs/quickstart-1a2b3c4d5e', 'exit code 0 when all is as it says, else 3 and what is wrong'],
  ],
  async run({ dir, json: asJson }, terminal) {
    const [{ verifyRun }, { rescore }] = await Promise.all([
      import('../../results/verify.js'),
      import('../../suites/rescore.js'),
    ]);
    const verification = verifyRun(dir, rescore);
    const { cells, samples, rescored, findings } = verification;
    if (asJson) terminal.printJson(verification);
    else {
      for (const { where, problem } of findings) terminal.print(`${where}: ${problem}`);
      const counted = `${cells} cells, ${samples} samples, ${rescored} scores computed again`;
      terminal.print(
        findings.length === 0 ? `As it says: ${counted}.` : `Refused: ${findings.length} findings in ${counted}.`,
      );
    }
    return findings.length === 0 ? 0 : 3;
  },
});
