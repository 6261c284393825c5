/** The floor check: whether a model can do a task at all, and whether the controls bound it from both sides. */
import { mean } from '../core/statistics.js';
import type { Estimate } from '../core/statistics-bootstrap.js';
import { distinct } from './averages.js';
import { type CellSummary, groupKey } from './summary.js';

/** One task at one length, protocol and budget of its controls. */
export interface FloorRow {
  readonly taskName: string;
  readonly contextLength: number;
  readonly protocol: string;
  /** Of `oracle` and `random`; empty where neither was run. */
  readonly budget: string;
  readonly samples: number;
  /** Mean score of guessing. */
  readonly chance: number;
  readonly dense: Estimate;
  readonly oracle?: Estimate;
  readonly random?: Estimate;
  /** The interval of dense does not lie above chance: differences between methods on this task say nothing. */
  readonly tooHard: boolean;
  /** The whole interval of oracle lies below the mean of dense. */
  readonly oracleBelowDense: boolean;
  /** The whole interval of random lies above chance. */
  readonly randomAboveChance: boolean;
}

/** A row for each scored dense cell and each budget of its controls, in the order of the cells. */
export const floorRows = (cells: readonly CellSummary[]): FloorRow[] =>
  distinct(cells.map(({ facts }) => groupKey(facts))).flatMap((key) => {
    const own = cells.filter(({ facts, record }) => groupKey(facts) === key && record.aggregates !== undefined);
    const dense = own.find(({ facts }) => facts.method.id === 'dense');
    if (dense === undefined) return [];
    const controls = own.filter(({ facts }) => facts.method.id === 'oracle' || facts.method.id === 'random');
    const budgets = controls.length === 0 ? [''] : distinct(controls.map(({ budget }) => budget));
    return budgets.map((budget) => rowOf(dense, budget, controls));
  });

const rowOf = (dense: CellSummary, budget: string, controls: readonly CellSummary[]): FloorRow => {
  const find = (id: string) => controls.find(({ facts, ...cell }) => facts.method.id === id && cell.budget === budget);
  const [oracle, random] = [find('oracle'), find('random')].map((cell) =>
    cell === undefined ? undefined : scoreOf(cell),
  );
  const score = scoreOf(dense);
  const chance = chanceOf(dense);
  const { taskName, contextLength, protocol } = dense.facts;
  return {
    ...{ taskName, contextLength, protocol, budget, chance, dense: score, samples: dense.record.n },
    ...(oracle === undefined ? {} : { oracle }),
    ...(random === undefined ? {} : { random }),
    tooHard: score.low <= chance,
    oracleBelowDense: oracle !== undefined && oracle.high < score.mean,
    randomAboveChance: random !== undefined && random.low > chance,
  };
};

const scoreOf = ({ record }: CellSummary): Estimate => {
  const { score, scoreLow, scoreHigh } = record.aggregates!;
  return { mean: score, low: scoreLow, high: scoreHigh };
};

/** What the task says; else one in the number of classes of each sample; else 0. */
const chanceOf = ({ facts, samples }: CellSummary): number => {
  if (facts.chance !== undefined) return facts.chance;
  const shares = samples.map((sample) =>
    sample.status === 'ok' && sample.classes !== undefined && sample.classes.length > 0 ? 1 / sample.classes.length : 0,
  );
  return shares.length === 0 ? 0 : mean(shares);
};

/** What a row says in words; empty when all is as it should be. */
export const floorNote = ({ tooHard, dense, chance, samples, oracleBelowDense, randomAboveChance }: FloorRow): string =>
  [
    tooHard
      ? `too hard for this model${dense.mean > chance ? `, or ${samples} samples are too few to tell` : ''}`
      : undefined,
    oracleBelowDense ? 'oracle below dense' : undefined,
    randomAboveChance ? 'random above chance' : undefined,
  ]
    .filter((note) => note !== undefined)
    .join('; ');
