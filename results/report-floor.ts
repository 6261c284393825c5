import { lengthLabel } from './charts/theme.js';
import { type FloorRow, floorNote, floorRows } from './floor.js';
import { markdownTable, plain } from './markdown.js';
import { scoreWithInterval, share } from './numbers.js';
import type { CellSummary } from './summary.js';

export const FLOOR_HEADS = ['task', 'length', 'protocol', 'budget', 'chance', 'dense', 'oracle', 'random', ''] as const;

/** A row as text, in the order of `FLOOR_HEADS`. */
export const floorCells = (row: FloorRow): string[] => [
  row.taskName,
  lengthLabel(row.contextLength),
  row.protocol,
  row.budget,
  share(row.chance),
  scoreWithInterval(row.dense),
  row.oracle === undefined ? '' : scoreWithInterval(row.oracle),
  row.random === undefined ? '' : scoreWithInterval(row.random),
  floorNote(row),
];

/** The floor check of a report; nothing without dense cells. */
export const floorSection = (cells: readonly CellSummary[]): string[] => {
  const rows = floorRows(cells);
  if (rows.length === 0) return [];
  return [
    '## Floor check',
    'Can this model do the task at all? "too hard": the interval of dense does not lie above the score of guessing, so differences between methods say nothing there. The oracle, which keeps the evidence, should be at or near dense, random at or near chance.',
    markdownTable(
      FLOOR_HEADS,
      rows.map((row) => [plain(row.taskName), ...floorCells(row).slice(1)]),
      ['left', 'right', 'left', 'right', 'right', 'left', 'left', 'left', 'left'],
    ),
  ];
};
