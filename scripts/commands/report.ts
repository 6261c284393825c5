import { defineCommand } from '../command.js';
import { json, required, text } from '../flags.js';

export const report = defineCommand({
  name: 'report',
  summary: 'Make the CSV, charts and Markdown of a run directory again from its records.',
  positionals: { dir: required(text('A folder that winnow run wrote.', 'DIR')) },
  required: 1,
  flags: { json },
  examples: [['$0 report results/runs/quickstart-0123456789', 'cells.csv, charts/ and report.md in that folder']],
  async run({ dir, json: asJson }, terminal) {
    const { reportRun } = await import('../../results/report.js');
    const { printReport, reportDocument } = await import('../run-output.js');
    const made = await reportRun(dir);
    if (asJson) terminal.printJson(reportDocument(dir, made));
    else await printReport(made, terminal);
    return 0;
  },
});
