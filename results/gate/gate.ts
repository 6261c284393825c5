import { WinnowError } from '../../core/errors.js';
import { cellKey, type PairedSample, pairSamples, refuseOtherProtocol } from '../compare/pairing.js';
import type { CellWithSamples, RunRecords } from '../run-records.js';
import type { CellFacts } from '../schema.js';
import { compareText } from '../summary.js';
import { checkCounted, checkOutputs } from './exact-checks.js';
import { type GateRow, type GateVerdict, placeOf, rowName, settingOf } from './gate-row.js';
import type { Policy } from './policy.js';
import { checkQuality, type PairedCell } from './quality-check.js';
import { checkTime } from './time-check.js';
import { applyWaivers } from './waivers.js';

export interface GateReport {
  readonly baseline: string;
  readonly candidate: string;
  readonly verdict: GateVerdict;
  readonly exitCode: 0 | 1 | 3 | 4;
  /** Worst verdicts first, waived ones among the passes; larger effects first. */
  readonly rows: readonly GateRow[];
  /** Rows that count, by verdict, and those that a waiver holds back. */
  readonly counts: Readonly<Record<GateVerdict | 'waived', number>>;
  /** New cells, expired and unused waivers. */
  readonly notes: readonly string[];
}

/**
 * Holds a candidate against a baseline under a policy. Several run directories a side are passes of one session taken in turns (baseline,
 * candidate, baseline, …); scores and counts come from the first of each side that has cells.
 *
 * `today` is a date like 2026-11-26, for waivers.
 */
export const gate = (
  baselines: readonly RunRecords[],
  candidates: readonly RunRecords[],
  policy: Policy,
  today: string,
): GateReport => {
  const [theirs, ours] = [baselines, candidates].map(
    (runs) => runs.find(({ cells }) => cells.length > 0) ?? runs[0]!,
  ) as [RunRecords, RunRecords];
  const refused = refusalOf(ours, theirs);
  const { rows, notes } =
    refused === undefined ? checkCells(ours, theirs, policy) : { rows: [refused], notes: [] as string[] };
  const waived = applyWaivers([...rows, ...checkTime(baselines, candidates, policy)], policy.waivers, today);
  const counting = (verdict: GateVerdict): number =>
    waived.rows.filter((row) => row.waiver === undefined && row.verdict === verdict).length;
  const counts = {
    pass: counting('pass'),
    regression: counting('regression'),
    inconclusive: counting('inconclusive'),
    incomparable: counting('incomparable'),
    missing: counting('missing'),
    waived: waived.rows.filter((row) => row.waiver !== undefined).length,
  };
  return {
    baseline: theirs.dir,
    candidate: ours.dir,
    ...outcomeOf(counts, policy),
    rows: waived.rows.sort(bySeverity),
    counts,
    notes: [...notes, ...waived.notes],
  };
};

const outcomeOf = (counts: GateReport['counts'], policy: Policy): Pick<GateReport, 'verdict' | 'exitCode'> => {
  if (counts.regression > 0) return { verdict: 'regression', exitCode: 1 };
  if (counts.incomparable > 0) return { verdict: 'incomparable', exitCode: 3 };
  if (counts.missing > 0 && policy.missing === 'fail') return { verdict: 'missing', exitCode: 3 };
  if (counts.inconclusive > 0 && policy.inconclusive === 'fail') return { verdict: 'inconclusive', exitCode: 4 };
  return { verdict: 'pass', exitCode: 0 };
};

const severity = ['regression', 'incomparable', 'missing', 'inconclusive', 'pass'] as const satisfies GateVerdict[];
const rankOf = (row: GateRow): number => (row.waiver === undefined ? severity.indexOf(row.verdict) : severity.length);

const bySeverity = (a: GateRow, b: GateRow): number =>
  rankOf(a) - rankOf(b) ||
  b.effect - a.effect ||
  compareText(a.check, b.check) ||
  compareText(rowName(a), rowName(b)) ||
  compareText(a.quantity, b.quantity);

/** A row that says why the runs as wholes cannot be compared. */
const refusalOf = (ours: RunRecords, theirs: RunRecords): GateRow | undefined => {
  const refused = (detail: string): GateRow => ({
    ...{ check: 'presence', quantity: 'run', setting: 'run', method: '', verdict: 'incomparable', detail, effect: 0 },
  });
  try {
    refuseOtherProtocol(ours, theirs);
  } catch (cause) {
    if (cause instanceof WinnowError && cause.code === 'ERR_INCOMPARABLE') return refused(cause.message);
    throw cause;
  }
  for (const [what, a, b] of [
    ['model', theirs.run.model.sha256, ours.run.model.sha256],
    ['numerics', theirs.run.numerics, ours.run.numerics],
    ['backend', theirs.run.backend, ours.run.backend],
  ] as const)
    if (a !== b) return refused(`other ${what}: ${a} -> ${b}; run both sides with the same`);
  if (theirs.run.status !== 'finished') return refused(`the baseline is ${theirs.run.status}, not finished`);
  if (ours.run.status !== 'finished') return refused(`the candidate is ${ours.run.status}: run the same command again`);
  return undefined;
};

const checkCells = (ours: RunRecords, theirs: RunRecords, policy: Policy): { rows: GateRow[]; notes: string[] } => {
  const rows: GateRow[] = [];
  const paired: PairedCell[] = [];
  const candidates = new Map(ours.cells.map((cell) => [cellKey(cell.record.cell), cell]));
  const identities = denseIdentities(theirs);
  const ownIdentities = denseIdentities(ours);
  for (const baseline of theirs.cells) {
    const { cell } = baseline.record;
    const candidate = candidates.get(cellKey(cell));
    candidates.delete(cellKey(cell));
    const absent = presenceOf(cell, baseline, candidate);
    if (absent !== undefined) rows.push(...absent);
    else {
      const place = groupOf(cell);
      const isSameQuestion =
        candidate!.record.cell.cellId === cell.cellId ||
        (identities.has(place) && identities.get(place) === ownIdentities.get(place));
      const found = isSameQuestion ? pairsOrRefusal(candidate!, baseline) : changedIdentity(cell);
      if (!Array.isArray(found)) rows.push(found);
      else {
        paired.push({ cell: candidate!.record.cell, pairs: found });
        rows.push(...checkCounted(cell, found, policy));
        if (policy.outputs === 'exact') rows.push(checkOutputs(cell, found));
      }
    }
  }
  const added = [...candidates.values()].map(({ record }) => settingOf(record.cell).setting);
  const notes =
    added.length === 0 ? [] : [`${added.length} cells are new: ${[...new Set(added)].slice(0, 5).join(', ')}`];
  if (added.length === 0 && rows.every(({ verdict }) => verdict !== 'missing')) rows.push(prefillsOf(ours, theirs));
  return { rows: [...rows, ...checkQuality(paired, policy, theirs.run)], notes };
};

const groupOf = (cell: CellFacts): string => `${cell.taskName}\0${cell.contextLength}\0${cell.protocol}`;

/**
 * The id of a dense cell hashes suite, task with its version, model, seed, samples, numerics and engine behaviour: where two runs agree in
 * it, they asked the same, whatever became of their methods.
 */
const denseIdentities = ({ cells }: RunRecords): Map<string, string> =>
  new Map(
    cells
      .filter(({ record }) => record.cell.method.id === 'dense')
      .map(({ record }) => [groupOf(record.cell), record.cell.cellId]),
  );

/** Rows of a cell that cannot be compared sample by sample; undefined when it can. */
const presenceOf = (
  cell: CellFacts,
  { record: theirs }: CellWithSamples,
  candidate: CellWithSamples | undefined,
): GateRow[] | undefined => {
  const head = { ...placeOf(cell), check: 'presence', quantity: 'cell', effect: 1 } as const;
  if (candidate === undefined) return [{ ...head, verdict: 'missing', detail: 'the candidate has no such cell' }];
  const { record: ours } = candidate;
  const failed = `${ours.status}: ${ours.error?.message ?? 'no reason given'}`;
  if (theirs.status !== 'ok')
    return ours.status === theirs.status || ours.status === 'ok'
      ? [{ ...head, effect: 0, verdict: 'pass', detail: `${theirs.status} in the baseline, ${ours.status} now` }]
      : [{ ...head, verdict: 'regression', detail: `${theirs.status} in the baseline, now ${failed}` }];
  return ours.status === 'ok'
    ? undefined
    : [{ ...head, verdict: 'regression', detail: `has no score any more: ${failed}` }];
};

const pairsOrRefusal = (ours: CellWithSamples, theirs: CellWithSamples): PairedSample[] | GateRow => {
  try {
    const pairs = pairSamples(ours, theirs);
    if (pairs.length === theirs.record.n) return pairs;
    return incomparable(theirs.record.cell, `${pairs.length} of ${theirs.record.n} samples are there`);
  } catch (cause) {
    if (cause instanceof WinnowError && cause.code === 'ERR_INCOMPARABLE')
      return incomparable(theirs.record.cell, cause.message);
    throw cause;
  }
};

const changedIdentity = (cell: CellFacts): GateRow =>
  incomparable(
    cell,
    'the task, its version, the samples or the behaviour of the engine changed on purpose: record the baseline again',
  );

const incomparable = (cell: CellFacts, detail: string): GateRow => ({
  ...placeOf(cell),
  ...{ check: 'presence', quantity: 'cell', verdict: 'incomparable', detail, effect: 0 },
});

const prefillsOf = ({ run: ours }: RunRecords, { run: theirs }: RunRecords): GateRow => ({
  ...{ check: 'counted', quantity: 'prefills', setting: 'run', method: '' },
  ...{ baseline: theirs.prefills, candidate: ours.prefills },
  verdict: ours.prefills > theirs.prefills ? 'regression' : 'pass',
  detail: `${theirs.prefills} -> ${ours.prefills} prefills`,
  effect: Math.max(0, ours.prefills / Math.max(1, theirs.prefills) - 1),
});
