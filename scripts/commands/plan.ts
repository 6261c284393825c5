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
    const { missingDatasets, unpulledExtras } = await import('../../suites/run-datasets.js');
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
        ['KV cache', `at most ${formatBytes(planned.bytes)} at once`],
        ...planned.groups.map(({ taskName, contextLength, protocol, cells }) => [
          'group',
          `${taskName}, ${formatLength(contextLength)}, ${protocol}: ${cells.length} cells`,
        ]),
        ...missing.map((id) => ['data', `${id} is not in the cache; run fetches it, or: winnow datasets pull ${id}`]),
        ...unpulledExtras(suite.tasks).map(({ id, tasks }) => [
          'data',
          `${id} is not in the cache; ${tasks.join(', ')} can do without, or: winnow datasets pull ${id}`,
        ]),
        ...leftOut(planned).map((line) => ['left out', line]),
      ]),
    );
    return 0;
  },
});

const settingsOf = ({ cells }: Plan): number =>
  new Set(cells.map(({ method, keptFraction, tokenBudget }) => JSON.stringify([method, keptFraction, tokenBudget])))
    .size;

const formatBytes = (bytes: number): string =>
  bytes < 10 * 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(0)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** Cells that a suite excludes, one line for each method and reason. */
const leftOut = ({ excluded }: Plan): string[] => {
  const cells = new Map<string, { readonly method: string; readonly reason: string; readonly tasks: string[] }>();
  for (const { method, taskName, reason } of excluded) {
    const key = JSON.stringify([method.id, reason]);
    const { tasks } = cells.get(key) ?? cells.set(key, { method: method.id, reason, tasks: [] }).get(key)!;
    tasks.push(taskName);
  }
  return [...cells.values()].map(({ method, reason, tasks }) => {
    const names = [...new Set(tasks)];
    const shown = names.length > 3 ? `${names[0]} and ${names.length - 1} more tasks` : names.join(', ');
    return `${method} on ${shown}, ${tasks.length} ${tasks.length === 1 ? 'cell' : 'cells'}: ${reason}`;
  });
};
