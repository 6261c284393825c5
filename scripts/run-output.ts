import path from 'node:path';
import picocolors from 'picocolors';
import type { Report } from '../results/report.js';
import type { Terminal } from './terminal.js';

/** The end of a run for people: the table, then where everything is. */
export const printReport = async (report: Report, terminal: Terminal): Promise<void> => {
  const { terminalTable } = await import('../results/terminal-table.js');
  const isColoured = picocolors.isColorSupported && process.stdout.isTTY === true;
  const { terminalFloor } = await import('../results/terminal-floor.js');
  if (report.summary.cells.length > 0) terminal.print(terminalTable(report.summary, { colours: isColoured }));
  const floor = terminalFloor(report.summary, { colours: isColoured });
  if (floor !== undefined) terminal.print(`\n${floor}`);
  const places = [
    ['cells', report.csv],
    ['report', report.markdown],
    ...report.charts.map((chart) => ['chart', `${chart} (and .png, .vl.json)`]),
  ];
  terminal.print(`\n${places.map(([what = '', where = '']) => `${what.padEnd(7)} ${relative(where)}`).join('\n')}`);
  for (const { name, reason } of report.skipped) terminal.note(`No chart ${name}: ${reason}.`);
};

/** The same as one document; paths as they can be opened from here. */
export const reportDocument = (dir: string, report: Report) => ({
  dir,
  csv: report.csv,
  report: report.markdown,
  charts: report.charts.flatMap((chart) => [
    chart,
    chart.replace(/\.svg$/, '.png'),
    chart.replace(/\.svg$/, '.vl.json'),
  ]),
  skippedCharts: report.skipped,
});

/** Short where that helps: a path below the current folder is shown relative to it. */
const relative = (where: string): string => {
  const short = path.relative(process.cwd(), where);
  return short.startsWith('..') ? where : short;
};
