import { formatLength } from '../core/units.js';
import type { Protocol } from '../methods/contract.js';
import type { PlannedCell } from './contract.js';

/** Cells that share their samples: one prefill of a sample serves all of them. */
export interface CellGroup {
  readonly taskName: string;
  readonly contextLength: number;
  readonly protocol: Protocol;
  readonly cells: readonly PlannedCell[];
}

/** Groups in the order of their first cell; cells keep their order. */
export const groupCells = (cells: readonly PlannedCell[]): CellGroup[] => {
  const groups = new Map<string, PlannedCell[]>();
  for (const cell of cells) {
    const key = JSON.stringify([cell.taskName, cell.contextLength, cell.protocol]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [cell]);
    else group.push(cell);
  }
  return [...groups.values()].map((members) => {
    const { taskName, contextLength, protocol } = members[0]!;
    return { taskName, contextLength, protocol, cells: members };
  });
};

export const labelOf = ({ taskName, contextLength, protocol, cells }: CellGroup): string =>
  `${taskName}, ${formatLength(contextLength)}, ${protocol}, ${cells.length} settings`;

/**
 * Work left, in dense prefill tokens: a sample costs its prefill, and each setting beside it the share of one that decoding it in the
 * batch takes. Only ratios of this number are used, for the estimate of the time left.
 */
export const workOfSample = (contextLength: number, settings: number): number =>
  settings === 0 ? 0 : contextLength * (1 + settings * SETTING_SHARE);

/** Twelve settings may cost two more dense runs (the project's bound), so about a sixth of one each. */
const SETTING_SHARE = 1 / 6;
