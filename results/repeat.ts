import { canonicalJson } from '../core/canonical-json.js';
import type { CellRecord } from './schema.js';
import { type CellSummary, type RunSummary, settingLabel } from './summary.js';

/** A cell whose repetition is not what it was. */
export interface RepeatDifference {
  readonly task: string;
  readonly contextLength: number;
  readonly setting: string;
  /** `score`, `kvCacheBytes`, …: what differs, with both values; `missing` when only one run has the cell. */
  readonly differences: readonly { readonly quantity: string; readonly before: unknown; readonly after: unknown }[];
}

/**
 * Compares a run with its repetition, cell by cell: status, number of samples and every quantity but times and peaks of memory. Cells are
 * matched by what they are, not by their names, which change with the versions of tasks.
 */
export const repeatDifferences = (before: RunSummary, after: RunSummary): RepeatDifference[] => {
  const repeated = new Map(after.cells.map((cell) => [keyOf(cell), cell]));
  const differences = before.cells.flatMap((cell) => {
    const key = keyOf(cell);
    const other = repeated.get(key);
    repeated.delete(key);
    return differenceOf(cell, other);
  });
  return [...differences, ...[...repeated.values()].flatMap((cell) => differenceOf(undefined, cell))];
};

const keyOf = ({ facts }: CellSummary): string => {
  const { taskName, contextLength, method, keptFraction, tokenBudget, protocol } = facts;
  return canonicalJson([taskName, contextLength, method, keptFraction ?? null, tokenBudget ?? null, protocol]);
};

const differenceOf = (before: CellSummary | undefined, after: CellSummary | undefined): RepeatDifference[] => {
  const known = before ?? after!;
  const [ours, theirs] = [quantitiesOf(before?.record), quantitiesOf(after?.record)];
  const names = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])];
  const differences = names
    .filter((name) => ours[name] !== theirs[name])
    .map((quantity) => ({ quantity, before: ours[quantity], after: theirs[quantity] }));
  if (differences.length === 0) return [];
  return [
    {
      task: known.facts.taskName,
      contextLength: known.facts.contextLength,
      setting: settingLabel(known),
      differences,
    },
  ];
};

const quantitiesOf = (record: CellRecord | undefined): Record<string, unknown> =>
  record === undefined ? {} : { status: record.status, n: record.n, ...record.aggregates };
