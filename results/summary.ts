import { canonicalJson } from '../core/canonical-json.js';
import { createBootstrap, type Estimate } from '../core/statistics-bootstrap.js';
import { pairedDifference } from './aggregate.js';
import { type CellTimes, timesByCell } from './cell-times.js';
import { isScored } from './quality.js';
import { readRunRecords } from './run-records.js';
import type {
  CellAggregates,
  CellFacts,
  CellRecord,
  MethodRecord,
  RunRecord,
  SampleRecord,
  TimingPass,
} from './schema.js';

export type { BatchTimes, CellTimes } from './cell-times.js';

/** A cell beside what it is compared with. */
export interface CellSummary {
  readonly record: CellRecord;
  readonly facts: CellFacts;
  /** Method with the parameters that tell it from its namesakes in this run: `kivi bits=2`. */
  readonly series: string;
  /** `0.5`, `512 tokens`, or empty. */
  readonly budget: string;
  readonly samples: readonly SampleRecord[];
  /** Mean paired difference to dense of the same task, length and protocol. */
  readonly deltaDense?: Estimate;
  /** The same to `random` at equal bytes; `none` when no such cell was run. Absent for controls and failed cells. */
  readonly againstRandom?: Estimate | 'none';
  /** Medians over one interleaved pass. */
  readonly times?: CellTimes;
}

export interface RunSummary {
  readonly run: RunRecord;
  /** Sorted by task, length, protocol, method, parameters, budget. */
  readonly cells: readonly CellSummary[];
}

/**
 * Reads a run directory and compares its cells.
 *
 * Throws: ERR_MISSING — no run is there. ERR_RECORD — a record is missing, damaged or changed; names the file.
 */
export const summariseRun = (dir: string): RunSummary => {
  const { run, cells, passes } = readRunRecords(dir);
  const samples = new Map(cells.map(({ record, samples: of }) => [record.cell.cellId, of]));
  const records = cells.map(({ record }) => record);
  return {
    run,
    cells: compareCells(run, records, samples, passes),
  };
};

const compareCells = (
  run: RunRecord,
  records: readonly CellRecord[],
  samples: ReadonlyMap<string, readonly SampleRecord[]>,
  passes: readonly TimingPass[],
): CellSummary[] => {
  const { seed, draws, level } = run.statistics;
  const bootstrap = createBootstrap({ seed, draws, level });
  const samplesOf = (record: CellRecord): readonly SampleRecord[] => samples.get(record.cell.cellId) ?? [];
  const scored = isScored(run);
  const label = seriesLabels(records.map((record) => record.cell.method));
  const timesOf = timesByCell(passes);
  const groups = new Map<string, CellRecord[]>();
  for (const record of records) {
    const key = groupKey(record.cell);
    groups.set(key, [...(groups.get(key) ?? []), record]);
  }
  const summaries = records.map((record): CellSummary => {
    const group = groups.get(groupKey(record.cell)) ?? [];
    const dense = group.find((other) => other.cell.method.id === 'dense' && other.status === 'ok');
    const times = timesOf(record);
    const isDense = record.cell.method.id === 'dense';
    const deltaDense =
      !scored || record.status !== 'ok' || dense === undefined || isDense
        ? undefined
        : pairedDifference(samplesOf(record), samplesOf(dense), bootstrap);
    const random = scored && record.status === 'ok' && !record.cell.control ? equalRandom(record, group) : undefined;
    return {
      record,
      facts: record.cell,
      series: label(record.cell.method),
      budget: budgetLabel(record.cell),
      samples: samplesOf(record),
      ...(deltaDense === undefined ? {} : { deltaDense }),
      ...(random === undefined
        ? {}
        : {
            againstRandom:
              random === 'none'
                ? random
                : (pairedDifference(samplesOf(record), samplesOf(random), bootstrap) ?? 'none'),
          }),
      ...(times === undefined ? {} : { times }),
    };
  });
  return summaries.sort(compareOrder);
};

/** Cells of one group may be compared: same task, length and protocol. */
export const groupKey = ({ taskName, contextLength, protocol }: CellFacts): string =>
  canonicalJson([taskName, contextLength, protocol]);

/** The random control within 2 % of a cell on the axis that the cell's budget acts on, as measured. */
const equalRandom = (record: CellRecord, group: readonly CellRecord[]): CellRecord | 'none' => {
  const ours = onAxis(record, record.cell.budgetAxis);
  if (ours === undefined) return 'none';
  const candidates = group.filter((other) => other.cell.method.id === 'random' && other.status === 'ok');
  const distance = (other: CellRecord): number =>
    Math.abs((onAxis(other, record.cell.budgetAxis) ?? Number.POSITIVE_INFINITY) / ours - 1);
  const nearest = candidates.sort((a, b) => distance(a) - distance(b))[0];
  return nearest !== undefined && distance(nearest) <= equalShare ? nearest : 'none';
};
const equalShare = 0.02;

const onAxis = ({ aggregates }: CellRecord, axis: CellFacts['budgetAxis']): number | undefined =>
  axis === 'none' || axis === 'weightBytes' ? undefined : aggregates?.[axisQuantity[axis]];
const axisQuantity = {
  residentBytes: 'kvCacheBytes',
  bytesRead: 'kvBytesReadPerStep',
  promptTokens: 'promptTokens',
  density: 'density',
} as const satisfies Record<string, keyof CellAggregates>;

export const methodName = ({ id, parts }: MethodRecord): string =>
  parts === undefined || id.includes('+') ? id : parts.map(methodName).join('+');

/** Names each method by the parameters in which it differs from others of the same name in the run. */
export const seriesLabels = (methods: readonly MethodRecord[]): ((method: MethodRecord) => string) => {
  const varying = new Map<string, Set<string>>();
  for (const name of new Set(methods.map(methodName))) {
    const namesakes = methods.filter((method) => methodName(method) === name).map(flatParams);
    const keys = new Set(namesakes.flatMap((params) => Object.keys(params)));
    varying.set(
      name,
      new Set(
        [...keys].filter((key) => new Set(namesakes.map((params) => canonicalJson(params[key] ?? null))).size > 1),
      ),
    );
  }
  return (method) => {
    const name = methodName(method);
    const params = flatParams(method);
    const told = [...(varying.get(name) ?? [])].sort().filter((key) => params[key] !== undefined);
    return [
      name,
      ...told.map((key) => `${key}=${typeof params[key] === 'string' ? params[key] : canonicalJson(params[key])}`),
    ].join(' ');
  };
};

const flatParams = ({ params, parts }: MethodRecord): Record<string, unknown> => ({
  ...params,
  ...Object.fromEntries(
    (parts ?? []).flatMap((part) =>
      Object.entries(flatParams(part)).map(([key, value]) => [`${methodName(part)}.${key}`, value]),
    ),
  ),
});

/** `snapkv @ 0.5`, or the series alone where there is no budget. */
export const settingLabel = ({ series, budget }: Pick<CellSummary, 'series' | 'budget'>): string =>
  budget === '' ? series : `${series} @ ${budget}`;

export const budgetLabel = ({ keptFraction, tokenBudget }: CellFacts): string =>
  keptFraction !== undefined ? String(keptFraction) : tokenBudget !== undefined ? `${tokenBudget} tokens` : '';

const compareOrder = (a: CellSummary, b: CellSummary): number => {
  const [ours, theirs] = [a.facts, b.facts];
  return (
    compareText(ours.taskName, theirs.taskName) ||
    ours.contextLength - theirs.contextLength ||
    compareText(ours.protocol, theirs.protocol) ||
    compareText(methodName(ours.method), methodName(theirs.method)) ||
    compareText(canonicalJson(ours.method), canonicalJson(theirs.method)) ||
    (ours.keptFraction ?? 0) - (theirs.keptFraction ?? 0) ||
    (ours.tokenBudget ?? 0) - (theirs.tokenBudget ?? 0) ||
    compareText(ours.cellId, theirs.cellId)
  );
};

/** By code units: the same order in every locale. */
export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
