/**
 * Writes the generated sections of README.md: `npm run docs` the table of methods, `npm run docs -- DIR` also what the run in DIR printed,
 * with the machine it ran on.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { methods } from '../methods/index.js';
import { summariseRun } from '../results/summary.js';
import { terminalTable } from '../results/terminal-table.js';
import { methodTable, replaceSection } from './method-table.js';

const excerptOf = (dir: string): string => {
  const summary = summariseRun(dir);
  const { run } = summary;
  const seconds = run.totalMs / 1000;
  const machine = `${run.machine.cpu}, ${run.machine.cores} cores, ${run.isa}, ${run.numerics} numerics`;
  const counts = `${summary.cells.length} cells, ${run.prefills} prefills where one for each setting would be ${run.prefillsUnshared}, ${seconds.toFixed(0)} s in the engine`;
  return `\`\`\`text\n${terminalTable(summary, { colours: false })}\n\`\`\`\n\n${counts} (${machine}).`;
};

const readme = new URL('../README.md', import.meta.url);
const [dir] = process.argv.slice(2);
let text = replaceSection(readFileSync(readme, 'utf8'), 'methods', methodTable(methods));
if (dir !== undefined) text = replaceSection(text, 'quickstart', excerptOf(dir));
writeFileSync(readme, text);
