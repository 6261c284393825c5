import type { CellFacts } from '../schema.js';
import { budgetLabel, methodName } from '../summary.js';
import type { gateChecks, Waiver } from './policy.js';

export type GateVerdict = 'pass' | 'regression' | 'inconclusive' | 'incomparable' | 'missing';

/** One comparison of the gate with its verdict. */
export interface GateRow {
  readonly check: (typeof gateChecks)[number];
  /** What was compared, such as `score` or `kvCacheBytes`. */
  readonly quantity: string;
  /** Absent where a row is about several cells. */
  readonly task?: string;
  readonly contextLength?: number;
  readonly protocol?: string;
  /** Method with parameters and budget; `run` for what is counted once a run. */
  readonly setting: string;
  readonly method: string;
  readonly verdict: GateVerdict;
  /** One sentence with the numbers behind the verdict. */
  readonly detail: string;
  readonly baseline?: number;
  readonly candidate?: number;
  readonly low?: number;
  readonly high?: number;
  readonly n?: number;
  readonly p?: number;
  /** Holm's, over all comparisons of this kind. */
  readonly pAdjusted?: number;
  /** Size of the change for sorting, 0 where there is none: a share or a score. */
  readonly effect: number;
  readonly waiver?: Waiver;
}

export interface RowPlace {
  readonly task: string;
  readonly contextLength: number;
  readonly protocol: string;
  readonly setting: string;
  readonly method: string;
}

export const placeOf = (cell: CellFacts): RowPlace => ({
  task: cell.taskName,
  contextLength: cell.contextLength,
  protocol: cell.protocol,
  ...settingOf(cell),
});

export const settingOf = (cell: CellFacts): { readonly setting: string; readonly method: string } => {
  const method = methodName(cell.method);
  const params = Object.keys(cell.method.params).length === 0 ? '' : ` ${JSON.stringify(cell.method.params)}`;
  const budget = budgetLabel(cell);
  return { method, setting: `${method}${params}${budget === '' ? '' : ` @ ${budget}`}` };
};

/** `niah_single_2 512 query-aware snapkv @ 0.5`, as far as a row is about one cell. */
export const rowName = ({ task, contextLength, protocol, setting }: GateRow): string =>
  [task, contextLength, protocol, setting].filter((word) => word !== undefined).join(' ');

/** A number in a sentence. */
export const figure = (value: number): string =>
  Number.isInteger(value) ? String(value) : Number(value.toPrecision(5)).toString();
