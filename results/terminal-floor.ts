import picocolors from 'picocolors';
import { floorNote, floorRows } from './floor.js';
import { isScored } from './quality.js';
import { FLOOR_HEADS, floorCells } from './report-floor.js';
import type { RunSummary } from './summary.js';
import type { TableOptions } from './terminal-table.js';

/** More rows than this are left to the report, but for those with a note, unless there is nothing else to show. */
const MOST_ROWS = 12;

/** The floor check as `winnow run` prints it: dense, oracle and random beside chance by task. Undefined without dense cells. */
export const terminalFloor = ({ run, cells }: RunSummary, { colours }: TableOptions): string | undefined => {
  const paint = picocolors.createColors(colours);
  const rows = isScored(run) ? floorRows(cells) : [];
  if (rows.length === 0) return undefined;
  const hasMethods = cells.some(({ facts }) => !facts.control);
  const shown = !hasMethods || rows.length <= MOST_ROWS ? rows : rows.filter((row) => floorNote(row) !== '');
  const hard = rows.filter(({ tooHard }) => tooHard).length;
  const title = `Floor check: ${hard === 0 ? 'every task is above chance' : `${hard} of ${rows.length} rows are too hard for this model`}`;
  if (shown.length === 0) return paint.bold(title);
  const isShown = FLOOR_HEADS.map((_, i) => i !== 2 || new Set(rows.map(({ protocol }) => protocol)).size > 1);
  const lines = [[...FLOOR_HEADS], ...shown.map(floorCells)].map((line) => line.filter((_, i) => isShown[i]));
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  const texts = lines.map((line) =>
    line
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  );
  return [
    paint.bold(title),
    texts[0]!,
    ...texts.slice(1).map((text, i) => (shown[i]!.tooHard ? paint.yellow(text) : text)),
  ].join('\n');
};
