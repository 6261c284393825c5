import { WinnowError } from '../../core/errors.js';
import { suggestName } from '../../core/nearest-name.js';
import type { CellWithSamples, RunRecords } from '../run-records.js';
import type { CellFacts } from '../schema.js';
import { budgetLabel, methodName } from '../summary.js';
import { cellKey } from './pairing.js';

export interface CellFilter {
  readonly tasks?: readonly string[] | undefined;
  readonly lengths?: readonly number[] | undefined;
  readonly methods?: readonly string[] | undefined;
}

/** Finds the cell of `base` that a cell is compared with: the same one, or that of method `against` at the same budget, or without any. */
export const partnersIn = (base: RunRecords, against: string | undefined) => {
  const byKey = new Map(base.cells.map((cell) => [cellKey(cell.record.cell), cell]));
  if (against === undefined) return (cell: CellFacts): CellWithSamples | undefined => byKey.get(cellKey(cell));
  const candidates = base.cells.filter(({ record }) => record.cell.method.id === against);
  return (cell: CellFacts): CellWithSamples | undefined => {
    const group = candidates.filter(
      ({ record: { cell: other } }) =>
        other.taskName === cell.taskName &&
        other.contextLength === cell.contextLength &&
        other.protocol === cell.protocol,
    );
    const sameBudget = group.find(
      ({ record: { cell: other } }) =>
        other.keptFraction === cell.keptFraction && other.tokenBudget === cell.tokenBudget,
    );
    const withoutBudget = group.find(
      ({ record: { cell: other } }) => other.keptFraction === undefined && other.tokenBudget === undefined,
    );
    return sameBudget ?? withoutBudget;
  };
};

/** Whether a cell is among the tasks, lengths and methods asked for. */
export const wanted =
  ({ tasks, lengths, methods }: CellFilter) =>
  ({ record: { cell } }: CellWithSamples): boolean =>
    (tasks === undefined || tasks.includes(cell.taskName)) &&
    (lengths === undefined || lengths.includes(cell.contextLength)) &&
    (methods === undefined || methods.includes(methodName(cell.method)));

/** Why two cells cannot be compared; undefined when they can. */
export const reasonAgainst = (ours: CellWithSamples, theirs: CellWithSamples | undefined): string | undefined => {
  if (ours.record.aggregates === undefined) return `no score: ${ours.record.error?.code ?? ours.record.status}`;
  if (theirs === undefined) return 'no such cell to compare with';
  if (theirs.record.aggregates === undefined)
    return `the other has no score: ${theirs.record.error?.code ?? theirs.record.status}`;
  return undefined;
};

export const nameOf = (cell: CellFacts): string =>
  [cell.taskName, cell.contextLength, cell.protocol, methodName(cell.method), budgetLabel(cell)]
    .filter((word) => word !== '')
    .join(' ');

/** Throws ERR_USAGE when the run has no such method. */
export const refuseUnknownMethod = (against: string, { dir, cells }: RunRecords): void => {
  const known = [...new Set(cells.map(({ record }) => record.cell.method.id))].sort();
  if (known.includes(against)) return;
  throw new WinnowError('ERR_USAGE', '--against', `a method of ${dir}`, against, suggestName(against, known));
};
