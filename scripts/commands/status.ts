import { defineCommand } from '../command.js';
import { json, required, text } from '../flags.js';

export const status = defineCommand({
  name: 'status',
  summary: 'Where a run stands: cells, samples, who writes it. Safe while it runs; writes nothing.',
  positionals: { dir: required(text('A run directory.', 'DIR')) },
  required: 1,
  flags: { json },
  examples: [['$0 status results/runs/quickstart-1a2b3c4d5e', 'running, killed, interrupted, failed or finished']],
  async run({ dir, json: asJson }, terminal) {
    const { runState, stateWord } = await import('../../results/run-status.js');
    const state = runState(dir);
    const word = stateWord(state);
    if (asJson) {
      terminal.printJson({ ...state, state: word });
      return 0;
    }
    const { cells, pendingSamples, writer } = state;
    const counted = (['ok', 'failed', 'unsupported', 'out-of-memory'] as const)
      .filter((one) => cells[one] > 0)
      .map((one) => `${cells[one]} ${one}`);
    const by = writer === undefined ? '' : ` by process ${writer.pid} on ${writer.host}`;
    terminal.print(`${state.id}: ${word}${by}`);
    terminal.print(
      `cells    ${cells.finished} of ${cells.planned} finished${counted.length > 0 ? `: ${counted.join(', ')}` : ''}`,
    );
    if (pendingSamples > 0) terminal.print(`samples  ${pendingSamples} more are safe on disk`);
    terminal.print(`started  ${state.createdAt}, last written ${state.changedAt}`);
    if (word !== 'finished' && word !== 'running') terminal.print(`To continue: ${state.command}`);
    return 0;
  },
});
