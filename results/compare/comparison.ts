import { WinnowError } from '../../core/errors.js';
import { holm } from '../../core/statistics/multiple-testing.js';
import type { RatioEstimate } from '../../core/statistics/ratios.js';
import { createBootstrap } from '../../core/statistics-bootstrap.js';
import type { CellWithSamples, RunRecords } from '../run-records.js';
import type { CellAggregates, CellFacts } from '../schema.js';
import { budgetLabel, compareText, seriesLabels } from '../summary.js';
import { type JudgeOptions, judgeCell, judgeSetting, type PairedScores } from './paired-scores.js';
import { differencesOf, type PairedSample, pairSamples, refuseOtherProtocol, settingKey } from './pairing.js';
import { type CellFilter, nameOf, partnersIn, reasonAgainst, refuseUnknownMethod, wanted } from './partners.js';
import { type TimeQuantity, timeRatios } from './time-ratios.js';

export interface CompareOptions extends CellFilter {
  /** Compare with this method of the first run instead of with the same setting there; `dense` where one run is given. */
  readonly against?: string | undefined;
  /** In score: a loss of no more counts as none. */
  readonly margin: number;
  readonly alpha: number;
}

export type Verdict = 'same' | 'worse' | 'better' | 'not worse' | 'inconclusive';

/** One setting beside another: of one task and length, or (`cells` above 1 or task absent) over all of them. */
export interface ComparisonRow extends PairedScores {
  /** Folder of the run; the first run is what it is compared with. */
  readonly run: string;
  readonly task?: string;
  readonly contextLength?: number;
  readonly protocol: CellFacts['protocol'];
  readonly setting: string;
  readonly against: string;
  readonly cells: number;
  /** Holm's, over the rows of its table. */
  readonly pAdjusted: number;
  readonly verdict: Verdict;
  /** Measured quantities ÷ those of the other cell. */
  readonly ratios: { readonly kvCacheBytes?: number; readonly kvBytesReadPerStep?: number };
  /** Times ÷ those of the other setting in the same interleaved pass; never across runs. */
  readonly times?: Readonly<Partial<Record<TimeQuantity, RatioEstimate>>>;
  /** The suite said before the run that this method is to be better. */
  readonly superiorityAsked: boolean;
}

export interface Comparison {
  readonly base: string;
  readonly others: readonly { readonly dir: string; readonly differences: readonly string[] }[];
  readonly margin: number;
  readonly alpha: number;
  readonly level: number;
  readonly settings: readonly ComparisonRow[];
  readonly cells: readonly ComparisonRow[];
  /** Cells without a partner, or without a score on either side. */
  readonly unpaired: readonly { readonly run: string; readonly cell: string; readonly reason: string }[];
}

interface Pairing {
  readonly run: RunRecords;
  readonly ours: CellWithSamples;
  readonly theirs: CellWithSamples;
  readonly pairs: readonly PairedSample[];
}

/**
 * Compares runs sample by sample. One run: each of its settings with `against` (dense). Several: each setting of the later runs with the same
 * setting of the first, or with `against` of the first.
 *
 * Throws: ERR_INCOMPARABLE — other protocols, other samples, or no cell in common. ERR_USAGE — `against` is no method of the first run.
 */
export const compareRuns = (runs: readonly RunRecords[], options: CompareOptions): Comparison => {
  const [base, ...later] = runs as readonly [RunRecords, ...RunRecords[]];
  for (const other of later) refuseOtherProtocol(other, base);
  const against = options.against ?? (later.length === 0 ? 'dense' : undefined);
  if (against !== undefined) refuseUnknownMethod(against, base);
  const partnerOf = partnersIn(base, against);
  const { seed, draws, level } = base.run.statistics;
  const judge: JudgeOptions = {
    margin: options.margin,
    alpha: options.alpha,
    alternative: 'two-sided',
    bootstrap: createBootstrap({ seed, draws, level }),
    bootstrapOptions: { seed, draws, level },
  };
  const pairings: Pairing[] = [];
  const unpaired: Comparison['unpaired'][number][] = [];
  const candidates = later.length === 0 || options.against !== undefined ? runs : later;
  for (const run of candidates) {
    for (const ours of run.cells.filter(wanted(options))) {
      if (run === base && ours.record.cell.method.id === against) continue;
      const theirs = partnerOf(ours.record.cell);
      const reason = reasonAgainst(ours, theirs);
      const pairs = theirs === undefined || reason !== undefined ? [] : pairSamples(ours, theirs);
      if (theirs !== undefined && pairs.length > 0) pairings.push({ run, ours, theirs, pairs });
      else
        unpaired.push({
          run: run.dir,
          cell: nameOf(ours.record.cell),
          reason: reason ?? 'no sample was scored by both',
        });
    }
  }
  if (pairings.length === 0) throw nothingInCommon(runs, unpaired);
  const label = seriesLabels(runs.flatMap(({ cells }) => cells.map(({ record }) => record.cell.method)));
  const rowOf = (members: readonly Pairing[], scores: PairedScores) =>
    describe(members, scores, label, later.length === 0);
  pairings.sort((a, b) => comparePairings(a, b));
  const settings = [
    ...groupBy(
      pairings,
      ({ run, ours }) => `${run.dir}\0${ours.record.cell.protocol}\0${settingKey(ours.record.cell)}`,
    ),
  ];
  return {
    base: base.dir,
    others: later.map((other) => ({ dir: other.dir, differences: differencesOf(base, other) })),
    margin: options.margin,
    alpha: options.alpha,
    level,
    settings: withVerdicts(
      settings.map(([, members]) =>
        rowOf(
          members,
          judgeSetting(
            members.map(({ pairs }) => pairs),
            judge,
          ),
        ),
      ),
      options,
    ),
    cells: withVerdicts(
      pairings.map((pairing) => {
        const { taskName, contextLength } = pairing.ours.record.cell;
        return { ...rowOf([pairing], judgeCell(pairing.pairs, judge)), task: taskName, contextLength };
      }),
      options,
    ),
    unpaired,
  };
};

type Unjudged = Omit<ComparisonRow, 'pAdjusted' | 'verdict'>;

/** Holm over the rows of one table; the words are explained in docs/statistics.md. */
const withVerdicts = (rows: readonly Unjudged[], { margin, alpha }: CompareOptions): ComparisonRow[] => {
  const adjusted = holm(rows.map(({ p }) => p));
  return rows.map((row, i) => ({
    ...row,
    pAdjusted: adjusted[i]!,
    verdict: verdictOf(row, adjusted[i]!, margin, alpha),
  }));
};

const verdictOf = (row: Unjudged, pAdjusted: number, margin: number, alpha: number): Verdict => {
  const { mean, low } = row.difference;
  if (row.worse + row.better === 0) return 'same';
  if (pAdjusted <= alpha && mean < 0) return 'worse';
  if (pAdjusted <= alpha && mean > 0) return row.superiorityAsked ? 'better' : 'not worse';
  return low >= -margin ? 'not worse' : 'inconclusive';
};

const describe = (
  members: readonly Pairing[],
  scores: PairedScores,
  label: ReturnType<typeof seriesLabels>,
  isOneRun: boolean,
): Unjudged => {
  const [{ run, ours, theirs }] = members as [Pairing, ...Pairing[]];
  const settingOf = ({ record }: CellWithSamples): string =>
    [label(record.cell.method), budgetLabel(record.cell)].filter((word) => word !== '').join(' @ ');
  const ratios = { ...ratioOf(members, 'kvCacheBytes'), ...ratioOf(members, 'kvBytesReadPerStep') };
  const times = isOneRun && members.length === 1 ? timeRatios(run, ours, theirs) : undefined;
  return {
    run: run.dir,
    protocol: ours.record.cell.protocol,
    setting: settingOf(ours),
    against: settingOf(theirs),
    cells: members.length,
    ...scores,
    ratios,
    ...(times === undefined ? {} : { times }),
    superiorityAsked: asksSuperiority(run, ours.record.cell),
  };
};

/** Geometric mean over cells of measured ÷ measured; absent where one side did not measure it. */
const ratioOf = (members: readonly Pairing[], quantity: 'kvCacheBytes' | 'kvBytesReadPerStep') => {
  const logs = members.flatMap(({ ours, theirs }) => {
    const [a, b] = [ours, theirs].map(({ record }) => (record.aggregates as CellAggregates)[quantity]);
    return a === undefined || b === undefined || a === 0 || b === 0 ? [] : [Math.log(a / b)];
  });
  return logs.length === 0 ? {} : { [quantity]: Math.exp(logs.reduce((sum, value) => sum + value, 0) / logs.length) };
};

const asksSuperiority = ({ run }: RunRecords, { method }: CellFacts): boolean => {
  const { superiority } = run.suite.resolved;
  return Array.isArray(superiority) && superiority.includes(method.id);
};

const nothingInCommon = (runs: readonly RunRecords[], unpaired: Comparison['unpaired']): WinnowError => {
  const protocols = runs.map(({ cells }) => [...new Set(cells.map(({ record }) => record.cell.protocol))].join('+'));
  const reason =
    new Set(protocols).size > 1
      ? `protocols ${protocols.join(' and ')}`
      : unpaired[0] === undefined
        ? 'no cell'
        : `${unpaired[0].cell}: ${unpaired[0].reason}`;
  return new WinnowError(
    'ERR_INCOMPARABLE',
    runs.map(({ dir }) => dir).join(' beside '),
    'scored cells of the same task, length, protocol and setting',
    reason,
    'Compare runs of one protocol, or name a method to compare with: --against dense.',
  );
};

const comparePairings = ({ run: a, ours }: Pairing, { run: b, ours: theirs }: Pairing): number => {
  const [x, y] = [ours.record.cell, theirs.record.cell];
  return (
    compareText(a.dir, b.dir) ||
    compareText(x.taskName, y.taskName) ||
    x.contextLength - y.contextLength ||
    compareText(x.protocol, y.protocol) ||
    compareText(settingKey(x), settingKey(y))
  );
};

const groupBy = <T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> => {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
};
