/** Turns the records of runs into settings with their cells, one run after the other, so that one run's samples are held at a time. */
import { canonicalJson, contentHash } from '../../core/canonical-json.js';
import { mean, withoutNoise } from '../../core/statistics.js';
import { averageSettings, distinct, isDense, meanOf } from '../averages.js';
import { depthScores } from '../charts/depth-by-length.js';
import type { CellRecord, RunRecord } from '../schema.js';
import { type CellSummary, groupKey, methodName, type RunSummary } from '../summary.js';
import type { Badge, Setting } from './site-data.js';

/** Samples that several cells were asked: equal ids ask the same. */
export interface SampleSet {
  readonly id: string;
  readonly clusters: readonly string[];
}

export interface SiteCell {
  readonly task: string;
  readonly length: number;
  readonly record: CellRecord;
  readonly summary: Pick<CellSummary, 'deltaDense' | 'times'>;
  /** Undefined where the cell has no score. */
  readonly set: SampleSet | undefined;
  /** In the order of the set. */
  readonly scores: readonly number[];
}

/** A setting before it is ranked. */
export interface SiteSetting extends Omit<Setting, 'board' | 'rank' | 'tied' | 'ranked' | 'unranked' | 'badge'> {
  readonly boardKey: string;
  readonly facts: CellSummary['facts'];
  readonly siteCells: readonly SiteCell[];
}

export const boardKeyOf = ({ suite, model, numerics }: RunRecord): string =>
  canonicalJson([suite.id, suite.version, model.id, model.sha256, numerics]);

/** Family of a method's id; undefined for methods that this version does not have. */
export type FamilyOf = (method: string) => string | undefined;

/** Settings of one run, in the order of its averages: dense, controls, methods. */
export const collectSettings = (summary: RunSummary, familyOf: FamilyOf): SiteSetting[] => {
  const sets = setsOf(summary.cells);
  const protocols = distinct(summary.cells.map(({ facts }) => facts.protocol)).sort();
  return protocols.flatMap((protocol) => {
    const cells = summary.cells.filter(({ facts }) => facts.protocol === protocol);
    const denseScores = new Map(
      cells
        .filter((cell) => isDense(cell) && cell.record.aggregates !== undefined)
        .map((cell) => [groupKey(cell.facts), cell.record.aggregates!.score]),
    );
    const denseTimed = timedGroups(cells.filter(isDense));
    return averageSettings(summary, cells).map((average): SiteSetting => {
      const { facts } = average.cells[0]!;
      const method = methodName(facts.method);
      const scored = average.cells.filter(({ record }) => record.aggregates !== undefined);
      const id = contentHash([
        summary.run.id,
        protocol,
        facts.method,
        facts.keptFraction ?? null,
        facts.tokenBudget ?? null,
      ]).slice(0, 12);
      return {
        id,
        page: `settings/${method
          .toLowerCase()
          .replace(/[^a-z0-9]+/g, '-')
          .slice(0, 60)}-${id}.html`,
        series: average.series,
        budget: average.budget,
        method,
        family: familyName(method, familyOf),
        run: summary.run.id,
        boardKey: boardKeyOf(summary.run),
        protocol,
        axis: facts.budgetAxis,
        control: facts.control,
        simulated: facts.simulated,
        standIn: facts.training === 'untrained-stand-in',
        scored: average.scored,
        planned: average.planned,
        samples: average.cells.reduce((sum, { record }) => sum + record.n, 0),
        estimate: average.score ?? null,
        delta: average.deltaDense ?? null,
        score: average.score?.mean ?? null,
        scoreKept: scoreKept(scored, denseScores),
        kvCacheBytes: meanOf(scored, 'kvCacheBytes') ?? null,
        kvCacheShare: average.kvCacheShare ?? null,
        kvBytesRead: meanOf(scored, 'kvBytesReadPerStep') ?? null,
        kvReadShare: average.kvReadShare ?? null,
        timeToFirstTokenMs: meanTime(scored, 'timeToFirstTokenMs', denseTimed),
        decodeMsPerToken: meanTime(scored, 'decodeMsPerToken', denseTimed),
        peakBytes: meanTime(scored, 'peakResidentBytes', denseTimed),
        evidenceRecall: average.evidenceRecall ?? null,
        depths: depthScores(average.cells),
        facts,
        siteCells: average.cells.map((cell) => siteCell(cell, sets)),
      };
    });
  });
};

export type RunBadges = ReadonlyMap<string, Badge>;

const familyName = (method: string, familyOf: FamilyOf): string => {
  const families = distinct(method.split('+').map((part) => familyOf(part) ?? 'own'));
  return families.length === 1 ? families[0]! : 'composition';
};

/** Mean score ÷ mean score of dense over the same cells; null where dense has none or scores 0. */
const scoreKept = (scored: readonly CellSummary[], denseScores: ReadonlyMap<string, number>): number | null => {
  const pairs = scored.flatMap(({ facts, record }) => {
    const dense = denseScores.get(groupKey(facts));
    return dense === undefined ? [] : [[record.aggregates!.score, dense] as const];
  });
  const total = pairs.reduce((sum, [, dense]) => sum + dense, 0);
  return total === 0 ? null : withoutNoise(pairs.reduce((sum, [ours]) => sum + ours, 0) / total);
};

/** Groups in which a cell was timed. */
const timedGroups = (cells: readonly CellSummary[]): string =>
  cells
    .filter(({ times }) => times !== undefined)
    .map(({ facts }) => groupKey(facts))
    .sort()
    .join();

/** Mean over the cells that were timed; null where they are not those in which dense was timed, so that means are of the same cells. */
const meanTime = (
  cells: readonly CellSummary[],
  quantity: 'timeToFirstTokenMs' | 'decodeMsPerToken' | 'peakResidentBytes',
  denseTimed: string,
): number | null => {
  const values = cells.map(({ times }) => times?.[quantity]).filter((value) => value !== undefined);
  return values.length === 0 || timedGroups(cells) !== denseTimed ? null : mean(values);
};

/** By group and content: verified runs ask all methods of a group the same, but a cell may have failed half-way. */
const setsOf = (cells: readonly CellSummary[]): ((cell: CellSummary) => SampleSet | undefined) => {
  const known = new Map<string, SampleSet>();
  const ids = new Map<CellSummary, SampleSet>();
  for (const cell of cells) {
    if (cell.record.aggregates === undefined) continue;
    const scored = cell.samples.flatMap((sample) => (sample.status === 'ok' ? [sample] : []));
    const id = contentHash([
      cell.facts.taskName,
      cell.facts.contextLength,
      scored.map(({ sampleId, references }) => [sampleId, references]),
    ]).slice(0, 16);
    const set = known.get(id) ?? { id, clusters: scored.map(({ sampleId }) => `${cell.facts.task} ${sampleId}`) };
    known.set(id, set);
    ids.set(cell, set);
  }
  return (cell) => ids.get(cell);
};

const siteCell = (cell: CellSummary, setOf: ReturnType<typeof setsOf>): SiteCell => {
  const set = setOf(cell);
  return {
    task: cell.facts.taskName,
    length: cell.facts.contextLength,
    record: cell.record,
    summary: {
      ...(cell.deltaDense === undefined ? {} : { deltaDense: cell.deltaDense }),
      ...(cell.times === undefined ? {} : { times: cell.times }),
    },
    set,
    scores: set === undefined ? [] : cell.samples.flatMap((sample) => (sample.status === 'ok' ? [sample.score] : [])),
  };
};
