import type { Plan } from '../../suites/plan.js';
import { defineCommand } from '../command.js';
import { required, text } from '../flags.js';
import { suiteFlags } from '../suite-flags.js';

export const plan = defineCommand({
  name: 'plan',
  summary: 'Count the cells, prefills and bytes of a suite without running it.',
  positionals: { suite: required(text('A suite file or the name of a suite in suites/.', 'SUITE')) },
  required: 1,
  flags: suiteFlags,
  examples: [
    ['$0 plan suites/quickstart.yaml', 'what the quickstart runs'],
    ['$0 plan quickstart --length 4k --kept-fraction 0.25 --json', 'with the flags of winnow run'],
  ],
  async run(values, terminal) {
    const { planFromFlags } = await import('../suite-plan.js');
    const { loaded, model, plan: planned, options } = await planFromFlags(values.suite, values, terminal);
    const { suite } = loaded;
    const { missingDatasets } = await import('../../suites/run-datasets.js');
    const missing = missingDatasets(suite.tasks);
    if (values.json) {
      terminal.printJson({
        suite: { id: suite.id, version: suite.version, file: loaded.file, resolvedSha256: loaded.sha256 },
        model: { id: model.id, sha256: model.sha256 },
        numerics: options.numerics,
        cells: planned.cells.length,
        groups: planned.groups.length,
        samplesPerCell: planned.samplesPerCell,
        prefills: planned.prefills,
        prefillsUnshared: planned.prefillsUnshared,
        bytes: planned.bytes,
        settings: settingsOf(planned),
        tasks: suite.tasks.map(({ name }) => name),
        missingDatasets: missing,
        lengths: [...new Set(planned.cells.map(({ contextLength }) => contextLength))],
        excluded: planned.excluded.map(({ taskName, contextLength, method, reason }) => ({
          task: taskName,
          length: contextLength,
          method: method.id,
          reason,
        })),
        cellIds: planned.cells.map(({ cellId }) => cellId),
      });
      return 0;
    }
    const { formatLength } = await import('../../core/units.js');
    const { alignColumns } = await import('../columns.js');
    const saved = planned.prefillsUnshared / Math.max(1, planned.prefills);
    terminal.print(`${suite.id} v${suite.version} on ${model.id}: ${suite.question}\n`);
    terminal.print(
      alignColumns([
        ['cells', `${planned.cells.length} of ${planned.samplesPerCell} samples each, ${settingsOf(planned)} settings`],
        [
          'prefills',
          `${planned.prefills}, where one for each setting would be ${planned.prefillsUnshared} (${saved.toFixed(1)} times as many)`,
        ],
        ['KV cache', `at most ${(planned.bytes / 2 ** 20).toFixed(0)} MiB at once`],
        ...planned.groups.map(({ taskName, contextLength, protocol, cells }) => [
          'group',
          `${taskName}, ${formatLength(contextLength)}, ${protocol}: ${cells.length} cells`,
        ]),
        ...missing.map((id) => ['data', `${id} is not in the cache; run fetches it, or: winnow datasets pull ${id}`]),
        ...planned.excluded.map(({ taskName, method, reason }) => [
          'left out',
          `${method.id} on ${taskName}: ${reason}`,
        ]),
      ]),
    );
    return 0;
  },
});

const settingsOf = ({ cells }: Plan): number =>
  new Set(cells.map(({ method, keptFraction, tokenBudget }) => JSON.stringify([method, keptFraction, tokenBudget])))
    .size;
