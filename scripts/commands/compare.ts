import { WinnowError } from '../../core/errors.js';
import { defineCommand } from '../command.js';
import { decimal, flag, json, lengths, names, required, text } from '../flags.js';

export const compare = defineCommand({
  name: 'compare',
  summary:
    'Compare runs sample by sample: differences with intervals, exact p values, what could be detected, and a verdict.',
  positionals: { dirs: required(names('Run directories; one alone compares its settings with dense.', 'DIR')) },
  required: 1,
  flags: {
    against: text('Compare with this method of the first run instead of with the same setting.', 'NAME'),
    margin: decimal('In score: a loss of no more counts as none. Default 0.01.', 'M'),
    alpha: decimal('Chance of any false alarm in a table, after Holm. Default 0.05.', 'A'),
    task: names('Only these tasks.', 'NAME'),
    length: lengths('Only these lengths.'),
    method: names('Only these methods.', 'NAME'),
    csv: flag('Print CSV instead of tables.'),
    markdown: flag('Print Markdown instead of tables.'),
    json,
  },
  examples: [
    ['$0 compare results/runs/before results/runs/after', 'the same settings in two runs'],
    ['$0 compare results/runs/mine --against snapkv', 'every setting of one run beside snapkv at its budget'],
  ],
  async run(values, terminal) {
    const options = {
      against: values.against,
      margin: between('--margin', values.margin ?? 0.01, 1),
      alpha: between('--alpha', values.alpha ?? 0.05, 0.5),
      tasks: values.task,
      lengths: values.length,
      methods: values.method,
    };
    const formats = [values.csv, values.markdown, values.json].filter(Boolean).length;
    if (formats > 1)
      throw new WinnowError('ERR_USAGE', 'winnow compare', 'one of --csv, --markdown, --json', `${formats} of them`);
    const [{ readRunRecords }, { compareRuns }, tables, { alignColumns }] = await Promise.all([
      import('../../results/run-records.js'),
      import('../../results/compare/comparison.js'),
      import('../../results/compare/comparison-table.js'),
      import('../columns.js'),
    ]);
    const comparison = compareRuns(values.dirs.map(readRunRecords), options);
    if (values.json) terminal.printJson(comparison);
    else if (values.csv) terminal.print(tables.comparisonCsv(comparison));
    else if (values.markdown) terminal.print(tables.comparisonMarkdown(comparison));
    else {
      const runsShown = comparison.others.length > 1;
      const timed = tables.timesTable(comparison.cells);
      for (const note of tables.comparisonNotes(comparison)) terminal.print(note);
      terminal.print(`\nOver all cells:\n${alignColumns(tables.comparisonTable(comparison.settings, runsShown))}`);
      terminal.print(`\nBy task and length:\n${alignColumns(tables.comparisonTable(comparison.cells, runsShown))}`);
      if (timed.length > 1) terminal.print(`\nTimes ÷ those of the other setting:\n${alignColumns(timed)}`);
    }
    return 0;
  },
});

const between = (name: string, value: number, most: number): number => {
  if (value > 0 && value <= most) return value;
  throw new WinnowError('ERR_USAGE', name, `a number above 0 and at most ${most}`, value);
};
