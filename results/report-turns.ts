import { distinct } from './averages.js';
import { lengthLabel } from './charts/theme.js';
import { markdownTable, plain } from './markdown.js';
import { mebibytesText } from './numbers.js';
import { type CellSummary, groupKey } from './summary.js';
import { turnMeans } from './turns.js';

/** Scores by turn, a table for each task, length and protocol with several questions a sample; nothing where there are none. */
export const turnSections = (cells: readonly CellSummary[]): string[] => {
  const known = cells.flatMap((cell) => {
    const means = cell.record.status === 'ok' ? turnMeans(cell.samples) : undefined;
    return means === undefined ? [] : [{ cell, means }];
  });
  if (known.length === 0) return [];
  const tables = distinct(known.map(({ cell }) => groupKey(cell.facts))).flatMap((key) => {
    const own = known.filter(({ cell }) => groupKey(cell.facts) === key);
    const { taskName, contextLength, protocol } = own[0]!.cell.facts;
    const turns = Math.max(...own.map(({ means }) => means.scores.length));
    const rows = own.map(({ cell, means }) => [
      `${plain(cell.series)}${cell.facts.control ? ' (c)' : ''}`,
      cell.budget,
      means.compressedFor ?? '',
      ...Array.from({ length: turns }, (_, turn) => means.scores[turn]?.toFixed(2) ?? ''),
      mebibytesText(means.kvCacheBytes[0]!),
      mebibytesText(means.kvCacheBytes.at(-1)!),
    ]);
    const numbered = Array.from({ length: turns }, (_, turn) => `turn ${turn + 1}`);
    return [
      `### ${plain(taskName)}, ${lengthLabel(contextLength)} tokens, ${protocol}`,
      markdownTable(
        ['method', 'budget', 'compressed for', ...numbered, 'KV MiB, first turn', 'KV MiB, last turn'],
        rows,
        ['left', 'right', 'left', ...numbered.map(() => 'right' as const), 'right', 'right'],
      ),
    ];
  });
  return [
    '## Scores by turn',
    'Mean score of each question over one context. "compressed for": what was known when the cache was compressed: the context alone, the first question too, or each question (a prefill of its own for every turn). KV bytes are those after the question of the turn was fed.',
    ...tables,
  ];
};
